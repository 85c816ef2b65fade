"""Personal data out of texts, before anything is stored: Microsoft's Presidio with a small English language model.

What a call says is recorded only where the owner turns that on (``[telemetry] record_content``), and only as it
leaves here. Found and replaced by the name of their kind: people, places, telephone numbers, addresses of mail
and machines, cards (with their check digit), bank accounts, and every number of four or more digits, written or
spoken. Names and places are recognised by the model, so some are missed: redaction lowers a risk, it does not
remove it. Everything runs here; nothing is asked of any server.
"""

import importlib
import json
import logging
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from telemetry.errors import RedactionError

#: Name of the language model in the model store.
MODEL = "spacy-en-core-web-sm"
LANGUAGE = "en"
#: Texts whose redaction is remembered: every destination of a span asks for the same ones.
REMEMBERED_TEXTS = 512
#: Presidio's certainty, 0 to 1, from which a finding counts.
MIN_SCORE = 0.35
#: What the language model finds and is replaced. It also finds dates, sums and organisations; those stay.
MODEL_ENTITIES = ("PERSON", "LOCATION", "NRP")
_DIGIT = r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple)"
#: What Presidio has no recogniser for, or one that would ask the network. Kind to pattern and certainty.
PATTERNS = {
    "EMAIL_ADDRESS": (r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b", 1.0),
    "SPOKEN_EMAIL_ADDRESS": (r"\b[\w.]+ at [\w-]+(?: dot [\w-]+)+\b", 0.8),
    "SPOKEN_NUMBER": (rf"\b{_DIGIT}(?:[ ,-]+{_DIGIT}){{3,}}\b", 0.9),
    "NUMBER": (r"(?<![\w.])(?:\d[ ,.-]?){3,}\d(?!\w)", 0.5),
    "ADDRESS": (
        r"\b\d+ (?:[A-Z][\w']+ ){1,3}(?:Street|Road|Avenue|Lane|Drive|Way|Place|Square|Court|Boulevard)\b",
        0.9,
    ),
    "PERSON": (
        r"(?i)(?<=\bmy name is )[^\W\d]+(?: [^\W\d]+)?|(?<=\bthis is )[^\W\d]+ [^\W\d]+(?= speaking\b)",
        0.9,
    ),
}

Redact = Callable[[str], str]


class Redactor:
    """Replaces personal data in texts. Slow to make (seconds), quick to call (milliseconds).

    Args:
        model: directory of the spaCy model.

    Raises:
        RedactionError: Presidio is not installed, or the model cannot be loaded.

    """

    def __init__(self, model: Path) -> None:
        try:
            self._analyzer = _analyzer(model)
            self._anonymizer = _anonymizer()
        except ImportError as error:
            raise RedactionError(
                f"record_content needs the redaction of personal data, and {error.name} is not installed: "
                "pip install 'offhook[privacy]', or set record_content = false"
            ) from None
        except (OSError, ValueError) as error:
            raise RedactionError(f"{model}: not a spaCy model that can be loaded: {error}") from None
        self._remembered = lru_cache(REMEMBERED_TEXTS)(self._redact)

    def __call__(self, text: str) -> str:
        """Return ``text`` with personal data replaced; a JSON text keeps its form, only its values change."""
        return self._remembered(text)

    def _redact(self, text: str) -> str:
        if text.lstrip()[:1] in ("{", "["):
            try:
                return json.dumps(self._leaves(json.loads(text)))
            except json.JSONDecodeError:
                pass  # plain text, or cut off
        return self._plain(text)

    def _leaves(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._leaves(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._leaves(inner) for inner in value]
        if isinstance(value, bool) or value is None:
            return value
        redacted = self._plain(str(value))
        return value if redacted == str(value) else redacted

    def _plain(self, text: str) -> str:
        found = self._analyzer.analyze(text, language=LANGUAGE, score_threshold=MIN_SCORE)
        return str(self._anonymizer.anonymize(text, analyzer_results=found).text)


def _anonymizer() -> Any:
    """Return what puts the kind of a finding in its place."""
    anonymizer: Any = importlib.import_module("presidio_anonymizer")
    return anonymizer.AnonymizerEngine()


def _analyzer(model: Path) -> Any:
    """Return Presidio's engine with the recognisers that need no network."""
    # It warns of every kind that the model finds and nobody asked for.
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    import spacy
    from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import (
        CreditCardRecognizer,
        IbanRecognizer,
        IpRecognizer,
        PhoneRecognizer,
        SpacyRecognizer,
        UsSsnRecognizer,
    )

    engine = SpacyNlpEngine(models=[{"lang_code": LANGUAGE, "model_name": model.name}])
    engine.nlp = {LANGUAGE: spacy.load(model, exclude=["parser", "senter"])}  # type: ignore[assignment]
    own = [
        PatternRecognizer(
            supported_entity=kind,
            patterns=[Pattern(kind, pattern, score)],
            supported_language=LANGUAGE,
            global_regex_flags=re.MULTILINE,
        )
        for kind, (pattern, score) in PATTERNS.items()
    ]
    shipped = [
        CreditCardRecognizer(), IbanRecognizer(), IpRecognizer(), PhoneRecognizer(), UsSsnRecognizer(),
        SpacyRecognizer(supported_entities=list(MODEL_ENTITIES)),
    ]  # fmt: skip
    return AnalyzerEngine(
        nlp_engine=engine,
        registry=RecognizerRegistry(recognizers=[*shipped, *own], supported_languages=[LANGUAGE]),
        supported_languages=[LANGUAGE],
    )
