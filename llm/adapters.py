"""LoRA adapters on a running vLLM: loaded when an agent needs them, unloaded when none does."""

import asyncio
import logging
from collections import defaultdict
from http import HTTPStatus

import httpx

from llm.errors import EngineError
from llm.profile import Adapter
from llm.replica import Replica

logger = logging.getLogger(__name__)

#: Loading reads weights from disk, seconds.
LOAD_TIMEOUT_SECONDS = 60.0


class Adapters:
    """The adapters agents answer with, loaded into an engine that lacks one when it is asked for.

    An engine that was started again, or is new, has none: whoever asks first waits for it, which is when the
    phone rings.
    """

    def __init__(self) -> None:
        self._known: dict[str, Adapter] = {}
        self._loading: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    def add(self, adapter: Adapter) -> None:
        """Take note of where ``adapter`` lies, as the engines see it."""
        self._known[adapter.name] = adapter

    async def bring(self, replica: Replica, name: str) -> bool:
        """Load the adapter ``name`` into ``replica``; return False where nothing is known of it.

        Raises:
            EngineError: the engine refused.

        """
        adapter = self._known.get(name)
        if adapter is None:
            return False
        async with self._loading[replica.url, name]:
            try:
                await load_adapter(replica.url, adapter, api_key=replica.api_key)
                logger.info("adapter %s loaded into %s", name, replica.url)
            except EngineError as error:
                if error.status != HTTPStatus.BAD_REQUEST or "already been loaded" not in str(error):
                    raise
        return True


async def load_adapter(base_url: str, adapter: Adapter, *, api_key: str = "") -> None:
    """Make ``adapter`` available as a model name at the engine.

    Raises:
        EngineError: the engine refused; its profile must have ``adapters`` or ``resident_adapters``, or LoRA is off.

    """
    await _post(base_url, "load", {"lora_name": adapter.name, "lora_path": adapter.path}, api_key)


async def unload_adapter(base_url: str, name: str, *, api_key: str = "") -> None:
    """Take the adapter ``name`` away from the engine.

    Raises:
        EngineError: the engine refused.

    """
    await _post(base_url, "unload", {"lora_name": name}, api_key)


async def _post(base_url: str, verb: str, body: dict[str, str], api_key: str) -> None:
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    url = f"{base_url}/v1/{verb}_lora_adapter"
    try:
        async with httpx.AsyncClient(headers=headers, timeout=LOAD_TIMEOUT_SECONDS) as http:
            response = await http.post(url, json=body)
    except httpx.HTTPError as error:
        raise EngineError(f"{url}: {error!r}") from None
    if not response.is_success:
        raise EngineError(f"{url}: {response.text[:200]}", status=response.status_code, retryable=False)
