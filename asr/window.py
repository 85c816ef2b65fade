"""How much Whisper looks at, and where its text ends: the window policy and the stop rule.

Whisper was trained on 30 s windows and its encoder costs as much for one word as for thirty seconds. A window
of 10 s keeps the error rate and costs a third; shorter ones make the decoder repeat itself. Timestamp tokens
stay on, because they tell where the speech ended: what the decoder adds after the first end timestamp near
the end of the audio is repetition.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from asr.settings import DecodeSettings

FRAMES_PER_SECOND = 100
SECONDS_PER_TIMESTAMP = 0.02
#: Repetitions shorter than this many tokens are left alone unless the decoder ran into its limit.
MIN_LOOP_TOKENS = 1


@dataclass(frozen=True)
class Piece:
    """Text tokens between two timestamps, seconds from the start of the window."""

    tokens: tuple[int, ...]
    start: float
    end: float


def window_frames(audio_seconds: float, settings: DecodeSettings) -> int:
    """Return the (even) number of 10 ms mel frames in which ``audio_seconds`` of audio are encoded."""
    seconds = max(settings.window_seconds, audio_seconds + settings.padding_seconds)
    return min(round(seconds * FRAMES_PER_SECOND / 2) * 2, 30 * FRAMES_PER_SECOND)


def token_limit(audio_seconds: float, settings: DecodeSettings) -> int:
    """Return the most tokens that ``audio_seconds`` of speech can need."""
    return settings.extra_tokens + int(audio_seconds * settings.tokens_per_second)


def pieces(
    tokens: Sequence[int],
    *,
    timestamp_begin: int,
    end_of_text: int,
    audio_seconds: float,
    limit: int,
    settings: DecodeSettings,
) -> list[Piece]:
    """Cut generated tokens into pieces and stop where the audio stops.

    Args:
        tokens: what Whisper generated, with timestamp tokens.
        timestamp_begin: id of the first timestamp token.
        end_of_text: id from which tokens are no text.
        audio_seconds: length of the audio inside the window.
        limit: the most tokens it was allowed; one that reached it may be repeating itself.
        settings: the stop rule's distance.

    """
    found: list[Piece] = []
    text: list[int] = []
    start = 0.0
    for token in tokens:
        if token < end_of_text:
            text.append(token)
            continue
        if token < timestamp_begin:
            continue
        time = (token - timestamp_begin) * SECONDS_PER_TIMESTAMP
        if text:
            found.append(Piece(tuple(text), start, min(time, audio_seconds)))
            text = []
        if found and time >= audio_seconds - settings.stop_seconds:
            return found
        start = time
    if text:
        ran_out = len(tokens) >= limit - 1
        found.append(Piece(tuple(without_loop(text) if ran_out else text), start, audio_seconds))
    return found


def without_loop(tokens: list[int]) -> list[int]:
    """Return ``tokens`` cut after the first round, where they are one phrase said over and over."""
    for period in range(MIN_LOOP_TOKENS, len(tokens) // 2 + 1):
        if all(token == tokens[index % period] for index, token in enumerate(tokens)):
            return tokens[:period]
    return tokens
