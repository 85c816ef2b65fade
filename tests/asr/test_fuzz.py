"""Nonsense of every kind crashes nothing.

``OFFHOOK_FUZZ_MESSAGES=100000 pytest tests/asr/test_fuzz.py`` runs the long form.
"""

import asyncio
import contextlib
import json
import os
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import websockets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from asr.audio import Samples
from asr.detectors import SpeechDetector
from asr.ear import Ear
from asr.errors import MessageError, ParameterError
from asr.events import Action, AlignRequest, DecodeRequest, EndRequest, TurnEvent
from asr.flux import FluxDialect, FluxParameters
from asr.listen import ListenDialect, ListenParameters
from asr.settings import TurnSettings
from asr.transcript import Transcript, Word
from asr.turn import TurnDetector
from tests.asr.conftest import Server, linear16, silence

#: Messages altogether; about half go to each protocol.
MESSAGES = int(os.environ.get("OFFHOOK_FUZZ_MESSAGES", "3000"))
MESSAGES_AN_EXAMPLE = 40
EXAMPLES = max(1, MESSAGES // MESSAGES_AN_EXAMPLE // 2)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
kinds = st.sampled_from(["Configure", "CloseStream", "ForceEndTurn", "Finalize", "KeepAlive", "TurnInfo", ""])
thresholds = st.dictionaries(
    st.sampled_from(["eot_threshold", "eager_eot_threshold", "eot_timeout_ms", "other"]), anything, max_size=4
)
plausible = st.fixed_dictionaries(
    {"type": kinds},
    optional={"thresholds": thresholds | anything, "keyterms": anything, "language_hints": anything},
)
messages = st.one_of(
    plausible.map(json.dumps), anything.map(json.dumps), st.text(max_size=40), st.binary(max_size=3000)
)
FIELDS = """
    encoding sample_rate eot_threshold eager_eot_threshold eot_timeout_ms keyterm model language_hint
    endpointing utterance_end_ms interim_results channels language
""".split()  # noqa: SIM905
queries = st.dictionaries(
    st.sampled_from(FIELDS),
    st.sampled_from(
        ["linear16", "mulaw", "8000", "0.7", "0.3", "1000", "true", "false", "en", "nan", "1e400"]
    )
    | st.text(max_size=12),
    max_size=6,
)
speech_detector = SpeechDetector()


def open_flux(query: QueryParams) -> tuple[Ear, FluxDialect]:
    """Open a Flux stream as the server does."""
    wanted = FluxParameters.parse(query)
    dialect = FluxDialect(wanted, request_id="r", model="m", choose_language=lambda hint: hint)
    return ear(wanted), dialect


def open_listen(query: QueryParams) -> tuple[Ear, ListenDialect]:
    """Open a v1 stream as the server does."""
    wanted = ListenParameters.parse(query)
    return ear(wanted), ListenDialect(wanted, request_id="r", model="m", language="en")


def ear(wanted: Any) -> Ear:
    """Return an ear for what a query asks for."""
    audio = wanted.audio_input()
    turns = TurnDetector(TurnSettings(), wanted.thresholds)
    return Ear(audio, speech_detector, turns, narrowband=audio.narrowband)


@pytest.mark.parametrize("opener", [open_flux, open_listen])
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(queries, st.lists(messages, min_size=MESSAGES_AN_EXAMPLE, max_size=MESSAGES_AN_EXAMPLE), st.randoms())
def test_any_messages_give_answers_or_protocol_errors(
    opener: Callable[[QueryParams], Any],
    query: dict[str, str],
    sent: list[str | bytes],
    chance: random.Random,
) -> None:
    """Whatever a client sends, the answer is JSON, or an error of the protocol that ends that stream alone."""
    try:
        stream, dialect = opener(QueryParams(query))
    except ParameterError as error:
        assert str(error)
        stream, dialect = opener(QueryParams({}))
    for message in sent:
        try:
            out = take(stream, dialect, message, chance)
        except MessageError as error:
            out = dialect.failed(error)
            stream, dialect = opener(QueryParams({}))
        assert all(isinstance(json.loads(text), dict) for text in out)
    act(stream, dialect, stream.turns.force_end(), chance)
    assert isinstance(dialect.closed(stream), list)


def take(stream: Ear, dialect: Any, message: str | bytes, chance: random.Random) -> list[str]:
    """Give one message to a stream; audio is sometimes loud."""
    if isinstance(message, str):
        out, actions = dialect.received(message, stream)
        return [*out, *act(stream, dialect, actions, chance)]
    data = message * chance.choice([1, 5])
    replies = [reply for actions in stream.feed(data) for reply in act(stream, dialect, actions, chance)]
    return [*replies, *dialect.advanced(stream.heard_seconds)]


def act(stream: Ear, dialect: Any, actions: list[Action], chance: random.Random) -> list[str]:
    """Answer what an ear asks for with something, nothing, or not at all."""
    out: list[str] = []
    for action in actions:
        if isinstance(action, TurnEvent):
            out += dialect.heard(action)
        elif isinstance(action, EndRequest):
            out += act(stream, dialect, stream.turns.judged(action, chance.random()), chance)
        elif isinstance(action, AlignRequest):
            timed = replace(action.transcript, align=None)
            out += act(stream, dialect, stream.turns.aligned(action, timed), chance)
        else:
            out += act(stream, dialect, stream.turns.transcribed(action, transcript(action, chance)), chance)
    return out


def transcript(request: DecodeRequest, chance: random.Random) -> Transcript | None:
    """Return some transcript for a request."""
    if chance.random() < 0.3:
        return None
    text = chance.choice(["Yes.", "and", "555", "é…"])
    timed = Transcript(text, (Word(text, 0.5, request.start, request.end),))
    return replace(timed, align=lambda: timed) if chance.random() < 0.5 else timed


async def test_nonsense_on_the_wire_leaves_the_server_well(
    server: Server, speech: Callable[[str], Samples]
) -> None:
    """Random frames, and random bytes that are no websocket at all, and the next caller is heard."""
    chance = random.Random(1)
    for _ in range(60):
        with contextlib.suppress(websockets.WebSocketException, OSError):
            path = chance.choice(["v1", "v2"])
            async with websockets.connect(f"{server.ws}/{path}/listen", close_timeout=1) as connection:
                for _ in range(20):
                    size = chance.choice([0, 1, 3, 640, 70000])
                    data = chance.randbytes(size)
                    await connection.send(data if chance.random() < 0.8 else data[:200].decode("latin1"))
    host, port = server.http.removeprefix("http://").split(":")
    for _ in range(30):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(chance.randbytes(500))
        writer.close()
        del reader
    audio = np.concatenate([speech("What time is it?"), silence(1.0)])
    async with websockets.connect(f"{server.ws}/v2/listen") as connection:
        await connection.send(linear16(audio))
        await connection.send('{"type": "CloseStream"}')
        texts = [json.loads(message).get("transcript", "") async for message in connection]
    assert "time is it" in texts[-1].lower()
