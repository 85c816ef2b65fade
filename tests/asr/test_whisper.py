"""The real tiny.en: windows, batches, words, vocabulary, and nothing out of nothing."""

from collections.abc import Callable

import numpy as np
import pytest

from asr.audio import SAMPLE_RATE, Samples
from asr.bench.noise import TONES, call_tone
from asr.bench.offline import Player
from asr.confidence import Thresholds
from asr.errors import ParameterError
from asr.events import EventType, Kind
from asr.registry import Registry
from asr.settings import DecodeSettings, TurnSettings
from asr.transcript import WordTimes
from asr.whisper import DecodeJob, Whisper
from tests.asr.conftest import MODEL, silence

SENTENCE = "What time is it?"
OTHER = "What's the weather like in New York?"
LONG = "Could you tell me the way to the station?"


@pytest.fixture(scope="session")
def player(whisper: Whisper) -> Player:
    """Return a player with the real models."""
    return Player(whisper, TurnSettings(), DecodeSettings())


def test_words_are_timed_inside_their_audio(whisper: Whisper, speech: Callable[[str], Samples]) -> None:
    """Word times are of the stream, in order, with a confidence each."""
    audio = speech(SENTENCE)
    transcript = whisper.decode([DecodeJob(audio, offset=100.0, words=WordTimes.WITH_TEXT)])[0]
    assert " ".join(word.text for word in transcript.words) == transcript.text
    times = [time for word in transcript.words for time in (word.start, word.end)]
    assert all(time is not None and 100 <= time <= 100.5 + len(audio) / SAMPLE_RATE for time in times)
    assert times == sorted(times, key=lambda time: time or 0)
    assert all(0 < word.confidence <= 1 for word in transcript.words)


def test_words_timed_afterwards_are_timed_the_same(
    whisper: Whisper, speech: Callable[[str], Samples]
) -> None:
    """In a batch and alone, what is aligned later is what would have been aligned at once."""
    audio = (speech(SENTENCE), speech(OTHER))
    at_once = [
        whisper.decode([DecodeJob(samples, words=WordTimes.WITH_TEXT, ending=True)])[0] for samples in audio
    ]
    later = [DecodeJob(samples, words=WordTimes.ON_DEMAND, ending=True) for samples in audio]
    alone = [whisper.decode([job])[0] for job in later]
    together = whisper.decode(later)
    assert all(word.start is None for transcript in (*alone, *together) for word in transcript.words)
    assert [transcript.align() for transcript in alone if transcript.align] == at_once
    # In a batch the sums are made in another order.
    ends = [[word.end for word in transcript.words] for transcript in at_once]
    timed = [transcript.align() for transcript in together if transcript.align]
    assert [[word.end for word in transcript.words] for transcript in timed] == [
        pytest.approx(words, abs=0.1) for words in ends
    ]


def test_a_sentence_that_goes_on_is_told_from_one_that_ends(
    whisper: Whisper, speech: Callable[[str], Samples]
) -> None:
    """Whisper's odds that it would end the sentence there: high after a question, low in the middle of one."""
    whole = speech(LONG)
    jobs = [DecodeJob(part, ending=True) for part in (whole, whole[: len(whole) * 2 // 3])]
    ends, goes_on = (transcript.sentence_log_odds for transcript in whisper.decode(jobs))
    assert ends > 2.5
    assert goes_on < 0.5
    assert whisper.decode([DecodeJob(whole)])[0].sentence_log_odds == 0


def test_a_batch_gives_what_its_parts_give(whisper: Whisper, speech: Callable[[str], Samples]) -> None:
    """Decoding together and alone give the same text, also beside nothing at all."""
    jobs = [
        DecodeJob(speech(SENTENCE), words=WordTimes.WITH_TEXT),
        DecodeJob(silence(0.01)),
        DecodeJob(speech(OTHER)),
    ]
    together = whisper.decode(jobs)
    alone = [whisper.decode([job])[0] for job in jobs]
    assert [item.text for item in together] == [item.text for item in alone]
    assert together[1].text == ""
    assert together[0].words[0].start is not None


def test_key_terms_change_what_is_heard(whisper: Whisper, speech: Callable[[str], Samples]) -> None:
    """A vocabulary of several terms is taken, and jobs with and without one can share a batch."""
    audio = speech(OTHER)
    plain, biased = whisper.decode([DecodeJob(audio), DecodeJob(audio, keyterms=("New York", "Albany"))])
    assert "new york" in plain.text.lower()
    assert "new york" in biased.text.lower()


@pytest.mark.parametrize("seconds", [0.2, 1.0, 4.0])
def test_a_long_vocabulary_is_taken_however_short_the_audio(
    whisper: Whisper, speech: Callable[[str], Samples], seconds: float
) -> None:
    """A prompt longer than the text it leaves room for neither crashes nor silences the decoder."""
    audio = np.resize(speech(OTHER), int(seconds * SAMPLE_RATE))
    keyterms = tuple(f"lobster number {number}" for number in range(100))
    transcript = whisper.decode([DecodeJob(audio, keyterms=keyterms, words=WordTimes.WITH_TEXT)])[0]
    assert transcript.language == "en"


def test_a_short_word_is_not_said_over_and_over(whisper: Whisper, speech: Callable[[str], Samples]) -> None:
    """The stop rule keeps short windows from repeating their text."""
    text = whisper.decode([DecodeJob(speech(SENTENCE))])[0].text.lower()
    assert text.count("time") == 1


def test_noise_silence_and_tones_are_no_turns(player: Player) -> None:
    """White noise, clicks, silence and call progress tones give no event at all."""
    chance = np.random.default_rng(0)
    white = chance.normal(0, 0.1, 10 * SAMPLE_RATE).astype(np.float32)
    clicks = silence(10.0)
    clicks[:: SAMPLE_RATE // 3] = 0.9
    for sound in (white, clicks, silence(10.0), *(call_tone(*tone) for tone in TONES)):
        assert player.play(sound).events == []


def test_the_final_is_the_eager_decode(player: Player, speech: Callable[[str], Samples]) -> None:
    """The end of a turn without a pause carries the very text of its eager end, and asks for no further decode."""
    audio = np.concatenate([silence(0.5), speech(SENTENCE), silence(2.0)])
    run = player.play(audio, Thresholds(eager=0.3))
    ends = run.of(EventType.END)
    assert len(ends) == 1
    assert Kind.FINAL not in run.decodes
    assert run.of(EventType.EAGER_END)[-1].transcript.text == ends[0].transcript.text


def test_two_turns_of_one_stream(player: Player, speech: Callable[[str], Samples]) -> None:
    """Each turn has its own words and index."""
    audio = np.concatenate([speech(SENTENCE), silence(2.0), speech(OTHER), silence(2.0)])
    ends = player.play(audio).of(EventType.END)
    assert [event.turn_index for event in ends] == [0, 1]
    assert "time" in ends[0].transcript.text
    assert "weather" in ends[1].transcript.text


def test_forty_seconds_without_a_pause_are_heard_whole(
    player: Player, speech: Callable[[str], Samples]
) -> None:
    """A turn far longer than a window keeps all its words, once each."""
    phrase = speech(OTHER)
    loud = np.flatnonzero(np.abs(phrase) > 0.05)
    tight = phrase[loud[0] : loud[-1]]
    rounds = int(40 * SAMPLE_RATE / len(tight))
    run = player.play(np.concatenate([np.tile(tight, rounds), silence(2.5)]), Thresholds(end=0.9))
    heard = " ".join(event.transcript.text for event in run.of(EventType.END)).lower().count("weather")
    assert abs(heard - rounds) <= max(2, rounds // 5)


def test_requests_choose_among_the_models(whisper: Whisper) -> None:
    """A model is chosen by its name, other vendors' names mean the default, others are refused."""
    registry = Registry({MODEL: whisper, "second": whisper}, MODEL, ("", "flux", "nova"))
    assert registry.choose("second") == "second"
    assert registry.choose("flux-general-en") == registry.choose("") == MODEL
    with pytest.raises(ParameterError, match="this server has"):
        registry.choose("third")
    assert registry.language(MODEL, None, "auto") == "en"
    with pytest.raises(ParameterError, match="English alone"):
        registry.language(MODEL, "de", "en")
