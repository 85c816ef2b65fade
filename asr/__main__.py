"""``python -m asr``: the ear as a server process."""

import os

# numpy's BLAS would spread a matrix product of half a millisecond over every core and spin there until the next
# one: as much CPU again as the decode itself. It reads this when it is loaded, so before the other imports.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from asr.server import AsrService
from asr.settings import AsrSettings
from serving.errors import ServingError
from serving.process import fail, serve
from serving.settings import load_section
from telemetry import tracing


def main() -> None:
    """Serve until told to stop."""
    try:
        settings = load_section("asr", AsrSettings)
    except ServingError as error:
        fail("asr", error)
    tracing.start("asr")
    serve(AsrService(settings), host=settings.host, port=settings.port, drain_seconds=settings.drain_seconds)


if __name__ == "__main__":
    main()
