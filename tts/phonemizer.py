"""The phonemiser process: text in, IPA out, one JSON object a line.

espeak-ng is GPL-3, and so is the ``piper-tts`` wheel that carries it for Python. They are therefore loaded in
this process only, which the server talks to over pipes and never imports. Run as ``python -m tts.phonemizer``.

Request:  ``{"number": 7, "voice": "en-us", "texts": ["Hello, world."]}``
Response: ``{"number": 7, "phonemes": [[["həloʊ", ",", false], ["wɜld", ".", true]]]}``: for each text its
clauses, each with its phonemes, its final punctuation and whether it ends a sentence; or ``{"number": 7,
"error": "..."}``. ``{"number": 0}`` asks whether it has started.
"""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def load_espeak() -> ModuleType:
    """Return the initialised espeak binding of the ``piper-tts`` wheel, without importing the rest of it.

    Raises:
        ImportError: the wheel is not installed.

    """
    package = importlib.util.find_spec("piper")
    if package is None or package.origin is None:
        raise ImportError("the piper-tts package is missing; run `pip install offhook[piper]`")
    folder = Path(package.origin).parent
    binding = next(folder.glob("espeakbridge*.so"), folder / "espeakbridge.pyd")
    spec = importlib.util.spec_from_file_location("espeakbridge", binding)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.initialize(str(folder / "espeak-ng-data"))
    return module


def answer(espeak: ModuleType, line: str) -> dict[str, Any]:
    """Return the response to one request line."""
    request = json.loads(line)
    number = request["number"]
    if number == 0:
        return {"number": 0}
    try:
        espeak.set_voice(request["voice"])
        return {"number": number, "phonemes": [espeak.get_phonemes(text) for text in request["texts"]]}
    except (TypeError, ValueError, RuntimeError) as error:
        return {"number": number, "error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Answer requests from standard input until it closes."""
    try:
        espeak = load_espeak()
    except ImportError as error:
        print(json.dumps({"number": 0, "error": str(error)}), flush=True)
        sys.exit(1)
    for line in sys.stdin:
        print(json.dumps(answer(espeak, line)), flush=True)


if __name__ == "__main__":
    main()
