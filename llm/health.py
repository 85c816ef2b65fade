"""The watch over the replicas: who lives, and who there is."""

import asyncio
import logging
import time
from collections.abc import Sequence

import httpx2

from llm.pool import ReplicaPool
from llm.sources import Source, resolve

logger = logging.getLogger(__name__)

#: A health request that takes longer has failed, seconds.
HEALTH_TIMEOUT_SECONDS = 1.0


async def watch(
    pool: ReplicaPool, sources: Sequence[Source], http: httpx2.AsyncClient, *, every_seconds: float
) -> None:
    """Keep ``pool`` informed until cancelled: looks DNS names up and asks every replica's health path."""
    while True:
        try:
            await _look(pool, sources, http)
        except Exception:  # One look that fails must not be the last.
            logger.exception("the health of the language model replicas could not be seen")
        await asyncio.sleep(every_seconds)


async def _look(pool: ReplicaPool, sources: Sequence[Source], http: httpx2.AsyncClient) -> None:
    found = await resolve(sources)
    pool.update(list(found))
    async with asyncio.TaskGroup() as group:
        for replica, path in found.items():
            if path:
                group.create_task(_probe(pool, replica.url, path, http))


async def _probe(pool: ReplicaPool, url: str, path: str, http: httpx2.AsyncClient) -> None:
    try:
        # A connection of its own: one that was closed meanwhile would read as an engine that died.
        response = await http.get(
            f"{url}{path}", timeout=HEALTH_TIMEOUT_SECONDS, headers={"connection": "close"}
        )
        healthy = response.is_success
    except httpx2.HTTPError:
        healthy = False
    pool.probed(url, healthy, time.monotonic())
