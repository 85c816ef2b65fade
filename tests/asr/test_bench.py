"""The benchmark's own arithmetic: halves of speakers, manifests, and when a peer's text was there."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.bench.corpus import halves, load
from asr.bench.whisperlive import Told, told
from asr.errors import AudioError


@given(st.lists(st.integers(0, 8), max_size=60), st.randoms())
def test_a_speaker_is_in_one_half_whatever_the_order(speakers: list[int], chance: Any) -> None:
    """Halves depend on who speaks how often, and differ by no more than one speaker's clips."""
    rows = [{"path": "a.wav", "speaker": f"s{number}"} for number in speakers]
    chosen = halves(rows)
    shuffled = chance.sample(rows, len(rows))
    assert halves(shuffled) == chosen
    sizes = [sum(chosen[row["speaker"]] == half for row in rows) for half in ("tuned", "held-out")]
    most = max((speakers.count(number) for number in speakers), default=0)
    assert abs(sizes[0] - sizes[1]) <= most


@pytest.mark.parametrize(
    ("text", "says"), [("{", "JSON object"), ('{"text": "x"}', "path"), ("[]", "JSON object")]
)
def test_a_bad_manifest_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    """A manifest that cannot be read says what is wrong with it."""
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(text + "\n")
    with pytest.raises(AudioError, match=says):
        load(manifest)


def test_a_missing_recording_is_named(tmp_path: Path) -> None:
    """A row whose file is not there names it."""
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(json.dumps({"path": "none.wav", "text": "x"}) + "\n")
    with pytest.raises(AudioError, match=r"none\.wav"):
        load(manifest)


def segments(*texts: str, completed: bool = False) -> dict[str, Any]:
    """Return a message of WhisperLive."""
    return {"segments": [{"text": text, "completed": completed} for text in texts]}


def test_a_peers_text_is_there_when_it_last_changed() -> None:
    """The last change counts, and completion where it came."""
    received = [
        (1.0, {"message": "SERVER_READY"}),
        (2.0, segments("What time")),
        (3.0, segments("What time is it?")),
        (4.0, segments("What time is it?")),
        (6.0, segments("What time is it?", completed=True)),
    ]
    assert told(received, 2.5) == Told(0.5, 3.5)
    assert told(received[:4], 2.5) == Told(0.5, None)
    assert told(received[:2], 2.5) == Told(-0.5, None)
    assert told(received[:1], 2.5) is None
