"""LoRA adapters on a running vLLM: loaded when an agent needs them, unloaded when none does."""

import httpx

from llm.errors import EngineError
from llm.profile import Adapter

#: Loading reads weights from disk, seconds.
LOAD_TIMEOUT_SECONDS = 60.0


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
