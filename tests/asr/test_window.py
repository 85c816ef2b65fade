"""The window policy and the stop rule."""

from hypothesis import given
from hypothesis import strategies as st

from asr.settings import DecodeSettings
from asr.window import pieces, token_limit, window_frames, without_loop

SETTINGS = DecodeSettings()
TIME_ZERO = 1000
END_OF_TEXT = 500


def at(seconds: float) -> int:
    """Return the timestamp token for a time."""
    return TIME_ZERO + round(seconds / 0.02)


def cut(tokens: list[int], seconds: float, limit: int = 100) -> list[tuple[tuple[int, ...], float, float]]:
    """Return the pieces of ``tokens`` for audio of ``seconds``."""
    found = pieces(
        tokens,
        timestamp_begin=TIME_ZERO,
        end_of_text=END_OF_TEXT,
        audio_seconds=seconds,
        limit=limit,
        settings=SETTINGS,
    )
    return [(piece.tokens, piece.start, piece.end) for piece in found]


@given(st.floats(0, 60))
def test_windows_are_even_bounded_and_hold_the_audio(seconds: float) -> None:
    """A window is an even number of frames, at least the shortest, at most 30 s, and holds audio that fits."""
    frames = window_frames(seconds, SETTINGS)
    assert frames % 2 == 0
    assert SETTINGS.window_seconds * 100 <= frames <= 3000
    assert frames >= min(seconds * 100, 3000) - 1


def test_text_stops_at_the_first_end_near_the_end_of_the_audio() -> None:
    """What comes after an end timestamp near the audio's end is repetition."""
    tokens = [at(0), 1, 2, 3, at(2.0), at(2.0), 1, 2, 3, at(4.0)]
    assert cut(tokens, 2.3) == [((1, 2, 3), 0.0, 2.0)]


def test_an_early_end_does_not_stop_the_text() -> None:
    """A segment that ends in the middle of the audio is followed by the next."""
    tokens = [at(0), 1, at(1.5), at(1.5), 2, at(4.9)]
    assert cut(tokens, 5.0) == [((1,), 0.0, 1.5), ((2,), 1.5, 4.9)]


def test_text_without_timestamps_is_one_piece() -> None:
    """A decoder that wrote no timestamp still gives its text."""
    assert cut([1, 2, 3], 2.0) == [((1, 2, 3), 0.0, 2.0)]


def test_a_loop_at_the_limit_is_cut_to_one_round() -> None:
    """Text that ran into its limit while repeating itself is said once; shorter text is left alone."""
    assert cut([at(0), 1, 2, 1, 2, 1], 2.0, limit=6) == [((1, 2), 0.0, 2.0)]
    assert cut([at(0), 1, 2, 1, 2, 1], 2.0, limit=50) == [((1, 2, 1, 2, 1), 0.0, 2.0)]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_a_loop_is_found_only_where_everything_repeats(tokens: list[int]) -> None:
    """What is left repeats to what was there."""
    left = without_loop(tokens)
    assert all(token == left[index % len(left)] for index, token in enumerate(tokens))


@given(st.lists(st.integers(0, TIME_ZERO + 1600), max_size=60), st.floats(0.1, 30))
def test_any_tokens_give_pieces_inside_the_audio(tokens: list[int], seconds: float) -> None:
    """Nonsense tokens give pieces that hold text and end inside the audio."""
    for text, _, end in cut(tokens, seconds):
        assert text
        assert end <= seconds


def test_the_token_limit_grows_with_the_audio() -> None:
    """Longer audio may hold more tokens."""
    assert token_limit(0, SETTINGS) == SETTINGS.extra_tokens
    assert token_limit(10, SETTINGS) > token_limit(5, SETTINGS)
