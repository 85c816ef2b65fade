"""Having the mouth say set phrases before anybody waits for them, so that its cache holds them."""

import asyncio
import json
from collections.abc import Mapping, Sequence

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tts.errors import TtsError


async def prerender(
    base_url: str,
    phrases: Sequence[str],
    *,
    voice: str,
    language: str,
    lexicon: Mapping[str, str],
    deadline_seconds: float = 30.0,
) -> None:
    """Have the mouth at ``base_url`` (websocket) say ``phrases`` as a call would, unheard.

    Raises:
        TtsError: it could not be reached, refused a phrase, or took too long.

    """
    opening = {
        "voice": {"mode": "id", "id": voice},
        "language": language,
        "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
        "pronunciation_dict": dict(lexicon),
        "max_buffer_delay_ms": 0,
        "continue": False,
    }
    try:
        async with asyncio.timeout(deadline_seconds), connect(f"{base_url}/tts/websocket") as websocket:
            for number, phrase in enumerate(phrases):
                await websocket.send(
                    json.dumps(opening | {"context_id": f"set-{number}", "transcript": phrase})
                )
                while not (message := json.loads(await websocket.recv()))["done"]:
                    pass
                if message["type"] == "error":
                    raise TtsError(message["message"])
    except TimeoutError:
        raise TtsError(f"set phrases were not rendered within {deadline_seconds:g} s") from None
    except (OSError, WebSocketException) as error:
        raise TtsError(f"the mouth at {base_url} could not be reached: {error}") from None
