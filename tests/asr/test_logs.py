"""What the ear logs leads to the call it belongs to."""

import asyncio
import secrets

from websockets.asyncio.client import connect

from tests.asr.conftest import Server


async def test_a_line_carries_the_trace_of_its_stream(server: Server) -> None:
    """A client that goes away without a word leaves a line with the trace it had named, and not its neighbour's."""
    traces = [secrets.token_hex(16) for _ in range(2)]
    url = f"{server.ws}/v2/listen?model=flux-general-en&encoding=linear16&sample_rate=16000"

    async def vanish(trace_id: str) -> None:
        headers = {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
        async with connect(url, additional_headers=headers, compression=None) as socket:
            await socket.recv()
            socket.transport.abort()

    await asyncio.gather(*map(vanish, traces))
    async with asyncio.timeout(10):
        while not all(f"trace_id={trace_id}" in server.log.read_text() for trace_id in traces):
            await asyncio.sleep(0.1)
    lines = [line for line in server.log.read_text().splitlines() if any(one in line for one in traces)]
    assert all("a client went away" in line and line.count("trace_id=") == 1 for line in lines)
