"""Where replicas come from: the configuration, and DNS."""

import asyncio
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from llm.engine import prefill_url
from llm.errors import NoReplicaError
from llm.profile import OpenAIProfile, Profile
from llm.replica import Replica
from llm.settings import LLMSettings, ReplicaSettings


@dataclass(frozen=True)
class Source:
    """One configured replica, or all those its host name resolves to.

    ``health_path`` is asked for 200; empty where the server has no such path and is taken to live.
    """

    replica: Replica
    dns: bool = False
    health_path: str = "/health"


def sources_of(settings: LLMSettings, profile: Profile) -> tuple[Source, ...]:
    """Return what ``settings`` names: its replicas, or the engine of its ``profile``.

    Raises:
        NoReplicaError: a key's environment variable is not set.

    """
    own = settings.api_key.get_secret_value()
    if settings.replicas:
        return tuple(_source(item, profile.served_name, own) for item in settings.replicas)
    if isinstance(profile, OpenAIProfile):
        return (_remote(profile),)
    url = f"http://{settings.host}:{settings.port}"
    return (Source(Replica(url, profile.served_name, own, prefill_url=prefill_url(profile, settings))),)


async def resolve(sources: Sequence[Source]) -> dict[Replica, str]:
    """Return every replica the sources stand for now, with its health path; looks names up in DNS.

    A name that does not resolve contributes nothing.
    """
    found: dict[Replica, str] = {}
    for source in sources:
        for replica in await _addresses(source.replica) if source.dns else [source.replica]:
            found[replica] = source.health_path
    return found


async def _addresses(replica: Replica) -> list[Replica]:
    parts = urlsplit(replica.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    hosts = sorted({str(address[0]) for *_, address in infos})
    return [replace(replica, url=f"{parts.scheme}://{_bracketed(host)}:{port}") for host in hosts]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _remote(profile: OpenAIProfile) -> Source:
    url = profile.base_url.removesuffix("/v1")
    key = _secret(url, profile.api_key_variable)
    replica = Replica(
        url, profile.model, key, continues=profile.continues, adapters=False, limit_key=profile.limit_key
    )
    return Source(replica, health_path="")


def _source(item: ReplicaSettings, served_name: str, own_key: str) -> Source:
    url = item.url.rstrip("/")
    replica = Replica(
        url=url,
        model=item.model or served_name,
        api_key=_secret(url, item.api_key_variable) if item.api_key_variable else own_key,
        tier=item.tier,
        continues=item.continues,
        adapters=not item.model,
        limit_key=item.limit_key,
        prefill_url=item.prefill_url.rstrip("/"),
    )
    return Source(replica, dns=item.dns, health_path=item.health_path)


def _secret(url: str, variable: str) -> str:
    if variable and not os.environ.get(variable):
        raise NoReplicaError(f"replica {url}: {variable} is not set in the environment")
    return os.environ[variable] if variable else ""
