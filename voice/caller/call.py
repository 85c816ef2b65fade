"""Place one call and report it."""

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from orchestration.agent import load_agent
from orchestration.settings import Configuration
from voice.access.tls import verification
from voice.caller.line import place_call
from voice.caller.questions import question_from_file, question_from_text
from voice.caller.report import as_json, write_answers
from voice.caller.script import CallerScript, Question
from voice.errors import CallerError

#: How long the gateway may take to close its record of a call, seconds.
RECORD_SECONDS = 5.0
#: How often it is asked, seconds.
POLL_SECONDS = 0.1
#: How long a running gateway may take to say so, seconds.
PROBE_SECONDS = 2.0


async def ask(
    configuration: Configuration,
    *,
    gateway_url: str,
    texts: Sequence[str],
    files: Sequence[str],
    answer_wav: Path,
) -> dict[str, Any]:
    """Call the gateway at ``gateway_url``, ask the files and then the texts; return the call as JSON values.

    Raises:
        CallerError: a question cannot be had, or the call could not be held.

    """
    voice = load_agent(configuration.gateway.agent).voice
    mouth = f"http{configuration.tts_url.removeprefix('ws')}"
    questions: list[Question] = [question_from_file(path) for path in files]
    questions += [await question_from_text(text, mouth_url=mouth, voice=voice) for text in texts]
    call_sid = f"CA{secrets.token_hex(16)}"
    media = f"ws{gateway_url.removeprefix('http')}/phone/twilio/media"
    script = await place_call(media, questions, call_sid=call_sid, parameters={})
    record = await fetch_record(gateway_url, call_sid)
    _require_answers(script, record)
    write_answers(script, answer_wav)
    return as_json(script, record, answer_wav)


async def is_up(gateway_url: str) -> bool:
    """Return whether a gateway at ``gateway_url`` takes calls."""
    try:
        async with httpx.AsyncClient(timeout=PROBE_SECONDS, verify=verification(gateway_url)) as http:
            return (await http.get(f"{gateway_url}/readyz")).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


async def fetch_record(gateway_url: str, call_sid: str) -> dict[str, Any]:
    """Return the gateway's record of the call, once it has closed it."""
    try:
        async with (
            asyncio.timeout(RECORD_SECONDS),
            httpx.AsyncClient(verify=verification(gateway_url)) as http,
        ):
            while True:
                response = await http.get(f"{gateway_url}/api/calls/{call_sid}")
                response.raise_for_status()
                record: dict[str, Any] = response.json()
                if record["end_reason"]:
                    return record
                await asyncio.sleep(POLL_SECONDS)
    except (httpx.HTTPError, TimeoutError) as error:
        raise CallerError(f"{gateway_url} does not say what became of the call: {error}") from None


def _require_answers(script: CallerScript, record: dict[str, Any]) -> None:
    for turn in script.turns:
        if turn.answer_began is None:
            raise CallerError(
                f"no answer to {turn.question.source} within {script.patience.answer:g} s; "
                f"the gateway says: {record['end_reason']}, {len(record['turns'])} turns heard; see .offhook/logs"
            )
