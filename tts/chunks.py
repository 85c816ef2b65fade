"""How an utterance that is laid out in frames is cut into ranges to be rendered one after the other."""

from collections.abc import Iterator


def chunk_ranges(frames: int, first: int, largest: int) -> Iterator[tuple[int, int]]:
    """Yield ranges that cover ``frames``: ``first`` frames, then doubling up to ``largest``."""
    start, size = 0, first
    while start < frames:
        end = min(frames, start + size)
        yield start, end
        start, size = end, min(largest, size * 2)
