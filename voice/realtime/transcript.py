"""Partial transcripts as deltas: what is told once is never taken back. Sans-I/O.

The ear rewrites its guesses until it is sure; the protocol can only add. A word is told when two guesses in a
row agree on it and on all before it (local agreement: Liu, Spanakis and Niehues, Low-Latency
Sequence-to-Sequence Speech Recognition and Translation by Partial Hypothesis Selection, Interspeech 2020).
"""


class StableTranscript:
    """What was told of one turn."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._last: list[str] = []

    def partial(self, text: str) -> str:
        """Take a guess; return what can be told now."""
        words = text.split()
        agreed = 0
        while agreed < min(len(words), len(self._last)) and words[agreed] == self._last[agreed]:
            agreed += 1
        self._last = words
        return self._tell(words[:agreed])

    def final(self, text: str) -> str:
        """Take the transcript; return what was not told of it."""
        return self._tell(text.split())

    def _tell(self, words: list[str]) -> str:
        if words[: len(self._told)] != self._told:
            return ""
        new = words[len(self._told) :]
        delta = " ".join(new)
        spaced = f" {delta}" if self._told and new else delta
        self._told = words
        return spaced
