"""A turn that begins and seems to end at once, as a short one does where the ear has much to do.

Real gateway, mind, mouth and client; the ear is a fake that hears what it is told to, at the worst moment.
"""

import asyncio
import http
import json
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.voice.conftest import Gateway, StartGateway
from tests.voice.realtime.clients import OpenAICaller

QUESTION = "What is the capital of France?"
#: Between the end that seems likely and the one that is sure: an answer is thought up and rendered by then, seconds.
UNSURE_SECONDS = 2.0


class HastyFakeEar:
    """Speaks Flux: the first sound is the beginning of a turn, and all of it."""

    def __init__(self) -> None:
        self.port = 0
        self.sure = asyncio.Event()

    async def __call__(self, connection: ServerConnection) -> None:
        """Serve a stream."""
        await connection.send(json.dumps({"type": "Connected", "request_id": "r", "sequence_id": 0}))
        try:
            while not isinstance(await connection.recv(), bytes):
                pass
            await self._hear(connection, "StartOfTurn", "EagerEndOfTurn")
            await asyncio.sleep(UNSURE_SECONDS)
            self.sure.set()
            await self._hear(connection, "EndOfTurn")
            async for _ in connection:
                pass
        except ConnectionClosed:
            pass

    async def _hear(self, connection: ServerConnection, *events: str) -> None:
        for event in events:
            words = [{"word": word, "confidence": 1.0} for word in QUESTION.split()]
            message = {
                "type": "TurnInfo",
                "event": event,
                "request_id": "r",
                "sequence_id": 1,
                "turn_index": 0,
                "audio_window_start": 0.0,
                "audio_window_end": 0.1,
                "transcript": QUESTION,
                "words": words,
                "end_of_turn_confidence": 0.9,
                "last_speech": 0.05,
            }
            await connection.send(json.dumps(message))

    def answer(self, _: ServerConnection, request: Request) -> Response | None:
        """Say that it is ready to whoever asks."""
        if request.path.startswith("/v2/listen"):
            return None
        return Response(http.HTTPStatus.OK, "OK", Headers({"content-length": "0"}), b"")


@pytest.fixture
async def ear() -> AsyncIterator[HastyFakeEar]:
    """Run the ear."""
    hasty = HastyFakeEar()
    async with serve(hasty, "127.0.0.1", 0, process_request=hasty.answer) as server:
        hasty.port = next(iter(server.sockets)).getsockname()[1]
        yield hasty


async def test_an_answer_begun_at_once_waits_for_the_end_and_is_then_given(
    ear: HastyFakeEar, start_gateway: StartGateway
) -> None:
    """Nothing of it is heard before the turn is over, and all of it after."""
    starting = start_gateway(OFFHOOK_GATEWAY__ASR_URL=f"ws://127.0.0.1:{ear.port}")
    gateway: Gateway = await asyncio.to_thread(starting.__enter__)
    try:
        caller = OpenAICaller(gateway.url)
        async with caller.calling():
            await asyncio.wait_for(ear.sure.wait(), 30)
            assert not caller.sound
            await caller.until(lambda: any("Paris" in said for said in caller.said), "an answer")
            assert caller.sound
    finally:
        await asyncio.to_thread(starting.__exit__, None, None, None)
