"""Prefill in one engine, decode in another: the first request goes to the engine that reads the prompt.

The exchange is vLLM's: the prefill engine is asked for one token and says where the keys and values lie; the
decode engine is told so, fetches them, and writes. Connectors that meet in shared storage need no telling.
"""

import logging
from collections.abc import Mapping
from typing import Any

import httpx2
import openai

logger = logging.getLogger(__name__)

#: What a prefill engine is asked to leave behind.
_LEAVE_FOR_DECODE = {
    "do_remote_decode": True,
    "do_remote_prefill": False,
    "remote_engine_id": None,
    "remote_block_ids": None,
    "remote_host": None,
    "remote_port": None,
}


async def prefilled_elsewhere(
    prefiller: openai.AsyncOpenAI, body: dict[str, Any], headers: Mapping[str, str]
) -> dict[str, Any]:
    """Have ``prefiller`` read the prompt of ``body``; return ``body`` with where to fetch the result.

    A prefill engine that fails costs time, not the answer: the decode engine then reads the prompt itself.
    """
    extra = body.get("extra_body", {})
    reading = {key: value for key, value in body.items() if key != "stream_options"}
    reading |= {
        "stream": False,
        "max_tokens": 1,
        "extra_body": {**extra, "kv_transfer_params": _LEAVE_FOR_DECODE},
    }
    try:
        answer = await prefiller.chat.completions.create(**reading, extra_headers=dict(headers))
    except (openai.APIError, httpx2.HTTPError) as error:
        logger.warning(
            "the prefill engine failed (%s); the decode engine reads the prompt", type(error).__name__
        )
        return body
    where = (answer.model_extra or {}).get("kv_transfer_params")
    return {**body, "extra_body": {**extra, "kv_transfer_params": where}} if where else body
