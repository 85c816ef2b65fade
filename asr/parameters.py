"""Query parameters of the streaming endpoints, read strictly: a wrong value is refused, with what is allowed."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import cast, get_args

from starlette.datastructures import QueryParams

from asr.audio import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, Encoding
from asr.confidence import Thresholds
from asr.errors import ParameterError

END_RANGE = (0.5, 0.9)
EAGER_RANGE = (0.3, 0.9)
TIMEOUT_RANGE_MS = (500, 10000)
#: Stands for a language that is to be detected.
DETECT = "auto"
MAX_KEYTERMS = 100
MAX_KEYTERM_LENGTH = 100


def number(name: str, value: object, low: float, high: float) -> float:
    """Return ``value`` as a number between ``low`` and ``high``.

    Raises:
        ParameterError: it is none, or outside.

    """
    try:
        if isinstance(value, bool):
            raise ValueError
        found = float(cast(str, value))
    except (TypeError, ValueError):
        found = float("nan")
    if not low <= found <= high:
        raise ParameterError(f"{name}={_short(value)}: must be a number from {low:g} to {high:g}")
    return found


def flag(name: str, value: str) -> bool:
    """Return ``value`` as a truth value.

    Raises:
        ParameterError: it is neither true nor false.

    """
    if value.lower() not in ("true", "false"):
        raise ParameterError(f"{name}={_short(value)}: must be true or false")
    return value.lower() == "true"


def encoding(query: QueryParams) -> Encoding:
    """Return the encoding of the audio; ``linear16`` where none is named.

    Raises:
        ParameterError: it is not one of those taken.

    """
    value = query.get("encoding", "linear16")
    if value not in get_args(Encoding):
        raise ParameterError(f"encoding={_short(value)}: must be one of {', '.join(get_args(Encoding))}")
    return cast(Encoding, value)


def sample_rate(query: QueryParams, default: int) -> int:
    """Return the samples a second of the audio.

    Raises:
        ParameterError: it is outside 8000 to 48000.

    """
    value = query.get("sample_rate", str(default))
    return int(number("sample_rate", value, MIN_SAMPLE_RATE, MAX_SAMPLE_RATE))


def keyterms(values: Sequence[object]) -> tuple[str, ...]:
    """Return the vocabulary a client expects.

    Raises:
        ParameterError: too many, too long, or no text.

    """
    if len(values) > MAX_KEYTERMS:
        raise ParameterError(f"keyterm: at most {MAX_KEYTERMS} are taken, {len(values)} were given")
    for value in values:
        if not isinstance(value, str) or len(value) > MAX_KEYTERM_LENGTH:
            raise ParameterError(
                f"keyterm={_short(value)}: must be text of at most {MAX_KEYTERM_LENGTH} characters"
            )
    return tuple(stripped for value in values if (stripped := cast(str, value).strip()))


def language(value: str | None) -> str | None:
    """Return the ISO 639-1 code of a language tag such as ``en-GB``, :data:`DETECT`, or None where none is named.

    Raises:
        ParameterError: it is no language tag.

    """
    if not value:
        return None
    if value in (DETECT, "multi"):
        return DETECT
    code = value.split("-")[0].lower()
    if not (code.isalpha() and 2 <= len(code) <= 3):
        raise ParameterError(f"language={_short(value)}: must be a language tag such as en or en-GB")
    return code


def thresholds(values: Mapping[str, object], current: Thresholds) -> Thresholds:
    """Return ``current`` with the thresholds that ``values`` names; None keeps one as it is.

    Raises:
        ParameterError: one is out of range, or the eager one is above the other.

    """
    end, eager, timeout = current.end, current.eager, current.timeout
    if (value := values.get("eot_threshold")) is not None:
        end = number("eot_threshold", value, *END_RANGE)
    if (value := values.get("eager_eot_threshold")) is not None:
        eager = number("eager_eot_threshold", value, *EAGER_RANGE)
    if (value := values.get("eot_timeout_ms")) is not None:
        timeout = number("eot_timeout_ms", value, *TIMEOUT_RANGE_MS) / 1000
    if eager is not None and eager > end:
        raise ParameterError(f"eager_eot_threshold={eager:g}: must not be above eot_threshold={end:g}")
    return dataclasses.replace(current, end=end, eager=eager, timeout=timeout)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
