"""``python -m tts``: run the mouth as one server process."""

from serving.errors import SettingsError
from serving.process import fail, serve
from serving.settings import load_section
from telemetry import tracing
from tts.server import TtsService
from tts.settings import TtsSettings


def main() -> None:
    """Serve until told to stop."""
    try:
        settings = load_section("tts", TtsSettings)
    except SettingsError as error:
        fail("tts", error)
    tracing.start("tts")
    serve(TtsService(settings), host=settings.host, port=settings.port, drain_seconds=settings.drain_seconds)


if __name__ == "__main__":
    main()
