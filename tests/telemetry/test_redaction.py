"""Personal data never reaches an exporter; what is not personal stays legible."""

import json
import os
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from telemetry import names
from telemetry.content import RedactingExporter
from telemetry.errors import RedactionError
from telemetry.redaction import MODEL, Redact, Redactor
from tests.telemetry.conftest import REPOSITORY


@pytest.fixture(scope="module")
def redact() -> Redactor:
    """Presidio with the model of the store."""
    model = Path(os.environ.get("OFFHOOK_MODELS_DIR", REPOSITORY / ".models")) / MODEL
    if not model.is_dir():
        pytest.fail(f"offhook models pull {MODEL}", pytrace=False)
    return Redactor(model)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Hi, my name is John Smith.", "Smith"),
        ("my name is sarah connor", "connor"),
        ("Please put me through to Dr. Alice Jones.", "Jones"),
        ("Hello, this is Priya Raman speaking.", "Raman"),
        ("I live at 12 Baker Street in London.", "Baker"),
        ("You can reach me at 555-123-4567.", "4567"),
        ("Call me on +49 30 901820.", "901820"),
        ("Write to john.smith@example.com, please.", "smith"),
        ("It is bob at example dot com.", "bob"),
        ("My card number is 4111 1111 1111 1111.", "1111"),
        ("My social security number is 078-05-1120.", "1120"),
        ("The account is DE89 3704 0044 0532 0130 00.", "3704"),
        ("My account number is 12345678.", "12345678"),
        ("The code is 4 7 1 1.", "4 7 1"),
        ("It is four four seven nine one one.", "seven nine"),
        ("I was born on the 4th of May 1980.", "1980"),
        ("The server is 192.168.14.7.", "192"),
    ],
)
def test_personal_data_goes(redact: Redactor, text: str, secret: str) -> None:
    """Written or spoken, in a sentence of its own."""
    assert secret in text
    redacted = redact(text)
    assert secret not in redacted
    assert "<" in redacted


@pytest.mark.parametrize(
    "text",
    [
        "What do bees make?",
        "How many days are there in a week?",
        "Can I book a table for two at seven, please?",
        "It opens at 9 and closes at 17.",
        "One moment, please.",
    ],
)
def test_the_rest_stays(redact: Redactor, text: str) -> None:
    """A transcript can still be read."""
    assert redact(text) == text


def test_json_keeps_its_form(redact: Redactor) -> None:
    """Arguments of a tool: keys, numbers that say nothing and truth values stay; values are redacted."""
    text = json.dumps(
        {"email": "bob@example.org", "guests": 4, "vip": True, "account": 12345678, "notes": ["x"]}
    )
    assert json.loads(redact(text)) == {
        "email": "<EMAIL_ADDRESS>",
        "guests": 4,
        "vip": True,
        "account": "<NUMBER>",
        "notes": ["x"],
    }


def test_json_that_was_cut_off_is_text(redact: Redactor) -> None:
    """What is no longer JSON is redacted all the same."""
    assert "bob@" not in redact('{"email": "bob@example.org", "tex')


def exported(redact: Redact | None, **attributes: str) -> dict[str, object]:
    """Return the attributes of a span as an exporter sees them."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(RedactingExporter(exporter, redact)))
    provider.get_tracer("test").start_span(
        "turn", attributes={key.replace("__", "."): value for key, value in attributes.items()}
    ).end()
    (span,) = exporter.get_finished_spans()
    return dict(span.attributes or {})


def test_an_exporter_sees_only_redacted_content(redact: Redactor) -> None:
    """What was said is redacted, everything else untouched."""
    found = exported(redact, voice__turn__heard="I am John Smith.", voice__turn__outcome="answered")
    assert found == {names.TURN_HEARD: "I am <PERSON>.", names.TURN_OUTCOME: "answered"}


def test_without_redaction_nothing_is_said() -> None:
    """No redactor, no content, whoever put it into the span."""
    assert exported(None, voice__turn__heard="hello", voice__turn__outcome="x") == {names.TURN_OUTCOME: "x"}


def test_a_redactor_that_fails_says_nothing() -> None:
    """The attribute is lost, not the secret kept nor the span lost."""

    def broken(_: str) -> str:
        raise RuntimeError("no")

    assert exported(broken, voice__turn__heard="hello", voice__turn__outcome="x") == {names.TURN_OUTCOME: "x"}


def test_a_model_that_is_none(tmp_path: Path) -> None:
    """The error names the directory."""
    with pytest.raises(RedactionError, match="not a spaCy model"):
        Redactor(tmp_path)
