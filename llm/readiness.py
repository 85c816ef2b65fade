"""When an engine may be used: it is healthy, and real completions of the real prompt shapes have run."""

import asyncio
import logging
import time

import httpx

from llm.engine import LaunchSpec
from llm.errors import EngineNotReadyError

logger = logging.getLogger(__name__)

#: How often an engine that is starting is asked whether it lives, seconds.
POLL_SECONDS = 0.05
#: One health request may take this long, seconds.
HEALTH_TIMEOUT_SECONDS = 2.0
#: No connection is used twice: llama.cpp closes some that it has said it would keep.
_FRESH = httpx.Limits(max_keepalive_connections=0)
#: Words that make a prompt of a known length: about one token each in every tokeniser in use.
_FILLER = "the caller asks and the agent answers in one short sentence "


async def wait_ready(spec: LaunchSpec, *, api_key: str = "") -> float:
    """Wait until the engine of ``spec`` has answered its warm-up completions; return the seconds it took.

    Cancel it when the process dies meanwhile.

    Raises:
        EngineNotReadyError: it did not answer in ``spec.start_seconds``, or refused a completion.

    """
    began = time.monotonic()
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        async with (
            asyncio.timeout(spec.start_seconds),
            httpx.AsyncClient(headers=headers, limits=_FRESH) as http,
        ):
            await _wait_healthy(http, spec.health_url)
            for streams in spec.warm_up.streams:
                for tokens in spec.warm_up.prompt_tokens:
                    await asyncio.gather(
                        *(_complete(http, spec, tokens, f"{spec.name} {streams} {n}") for n in range(streams))
                    )
    except TimeoutError:
        raise EngineNotReadyError(
            f"{spec.name} at {spec.base_url} was not ready within {spec.start_seconds:g} s; see its log"
        ) from None
    return time.monotonic() - began


async def is_healthy(http: httpx.AsyncClient, health_url: str) -> bool:
    """Return whether the engine says it serves."""
    try:
        response = await http.get(health_url, timeout=HEALTH_TIMEOUT_SECONDS)
    except httpx.HTTPError:
        return False
    return response.status_code == httpx.codes.OK


async def _wait_healthy(http: httpx.AsyncClient, health_url: str) -> None:
    while not await is_healthy(http, health_url):  # noqa: ASYNC110 - another process tells us nothing by itself
        await asyncio.sleep(POLL_SECONDS)


def filler_words(count: int) -> list[str]:
    """Return words of about one token each."""
    words = _FILLER.split()
    return (words * (count // len(words) + 1))[: max(0, count)]


async def _complete(http: httpx.AsyncClient, spec: LaunchSpec, prompt_tokens: int, mark: str) -> None:
    """Ask for a streamed answer to a prompt laid out as a call's is; ``mark`` keeps prefixes apart,
    those of two engines with a common cache too."""
    words = [mark, *filler_words(prompt_tokens - 1)]
    request = {
        "model": spec.model,
        "messages": [
            {"role": "system", "content": " ".join(words)},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "Hello?"},
        ],
        "max_tokens": spec.warm_up.max_tokens,
        "temperature": 0,
        "stream": True,
    }
    url = f"{spec.base_url}/v1/chat/completions"
    try:
        async with http.stream("POST", url, json=request, timeout=None) as response:
            body = b"".join([part async for part in response.aiter_bytes()])
    except httpx.HTTPError as error:
        raise EngineNotReadyError(f"{spec.name} at {url} broke the warm-up off: {error!r}") from None
    if response.status_code != httpx.codes.OK:
        said = body[:300].decode(errors="replace")
        raise EngineNotReadyError(
            f"{spec.name} at {url} refused the warm-up with status {response.status_code}: {said}"
        )
    logger.debug("%s answered a warm-up of about %d tokens", spec.name, prompt_tokens)
