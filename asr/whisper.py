"""Whisper itself: batches of short audio in, transcripts out. Blocking; runs in the engine's thread."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import merge_punctuations

from asr.audio import SAMPLE_RATE, Samples
from asr.ending import marks, sentence_log_odds
from asr.guard import compression_ratio, spoken
from asr.settings import DecodeSettings
from asr.transcript import Segment, Transcript, Word, WordTimes
from asr.window import FRAMES_PER_SECOND, Piece, pieces, token_limit, window_frames

#: Audio shorter than this holds no word; it is not decoded.
MIN_AUDIO_SECONDS = 0.1
PREPENDED_PUNCTUATION = "\"'“¿([{-"
APPENDED_PUNCTUATION = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001
#: Tokens of vocabulary that fit into the prompt besides the text itself.
MAX_KEYTERM_TOKENS = 200


@dataclass(frozen=True, eq=False)
class DecodeJob:
    """One stretch of audio to decode.

    Attributes:
        audio: 16 kHz samples, at most 29 s.
        offset: stream time of the first sample, seconds.
        language: ISO 639-1 code; None to detect it.
        keyterms: words and names to expect.
        words: whether word times are wanted.
        ending: whether the text may be a turn's last: how likely a sentence ends with it is found out.
        task: ``transcribe`` or ``translate``.

    """

    audio: Samples = field(repr=False)
    offset: float = 0.0
    language: str | None = "en"
    keyterms: tuple[str, ...] = ()
    words: WordTimes = WordTimes.NO
    ending: bool = False
    task: str = "transcribe"

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return len(self.audio) / SAMPLE_RATE


def choose_device(device: str, compute_type: str) -> tuple[str, str]:
    """Return the device and number format to use; ``auto`` is float16 on a GPU, else int8 on the CPU."""
    if device == "auto":
        device = "cuda" if ctranslate2.get_cuda_device_count() > 0 else "cpu"
    if compute_type == "auto":
        compute_type = "float16" if device == "cuda" else "int8"
    return device, compute_type


class Whisper:
    """A loaded model.

    Args:
        path: directory of a CTranslate2 model.
        device: ``cpu``, ``cuda`` or ``auto``.
        compute_type: number format of CTranslate2, or ``auto``.
        cpu_threads: threads of one decode on a CPU.
        settings: how to decode.
        workers: batches that may be decoded side by side.

    """

    def __init__(
        self,
        path: Path,
        *,
        device: str,
        compute_type: str,
        cpu_threads: int,
        settings: DecodeSettings,
        workers: int = 1,
    ) -> None:
        self.device, self.compute_type = choose_device(device, compute_type)
        self._settings = settings
        self._model = WhisperModel(
            str(path),
            device=self.device,
            compute_type=self.compute_type,
            cpu_threads=cpu_threads,
            num_workers=workers,
        )
        self._tokenizers: dict[tuple[str, str], Tokenizer] = {}
        self._marks = marks(self._tokenizer("en", "transcribe"))

    @property
    def multilingual(self) -> bool:
        """Whether the model knows more than English."""
        return bool(self._model.model.is_multilingual)

    @property
    def languages(self) -> tuple[str, ...]:
        """ISO 639-1 codes of the languages the model knows."""
        return tuple(self._model.supported_languages)

    def decode(self, jobs: Sequence[DecodeJob]) -> list[Transcript]:
        """Decode ``jobs`` as one batch, in order."""
        results: dict[int, Transcript] = {}
        heard = [index for index, job in enumerate(jobs) if job.seconds >= MIN_AUDIO_SECONDS]
        if heard:
            encoded = self._encode([jobs[index] for index in heard])
            batches: dict[tuple[int, ...], list[int]] = {}
            languages = self._languages([jobs[index] for index in heard], encoded)
            for row, index in enumerate(heard):
                batches.setdefault(self._prompt(jobs[index], languages[row][0]), []).append(row)
            for prompt, rows in batches.items():
                part = encoded if len(rows) == len(heard) else _rows(encoded, rows)
                group = [jobs[heard[row]] for row in rows]
                chosen = [languages[row] for row in rows]
                for row, transcript in zip(rows, self._generate(group, part, prompt, chosen), strict=True):
                    results[heard[row]] = transcript
        return [results.get(index, Transcript("")) for index in range(len(jobs))]

    def _encode(self, jobs: Sequence[DecodeJob]) -> Any:
        frames = max(window_frames(job.seconds, self._settings) for job in jobs)
        extractor = self._model.feature_extractor
        batch = np.zeros((len(jobs), self._model.model.n_mels, frames), np.float32)
        for row, job in enumerate(jobs):
            padding = max(0, frames * SAMPLE_RATE // FRAMES_PER_SECOND - len(job.audio))
            batch[row] = extractor(job.audio, padding=padding)[:, :frames]
        return self._model.model.encode(ctranslate2.StorageView.from_array(batch), to_cpu=False)

    def _languages(self, jobs: Sequence[DecodeJob], encoded: Any) -> list[tuple[str, float]]:
        if not self.multilingual:
            return [("en", 1.0)] * len(jobs)
        if all(job.language for job in jobs):
            return [(job.language or "", 1.0) for job in jobs]
        detected = self._model.model.detect_language(encoded)
        return [
            (job.language, 1.0) if job.language else (found[0][0].strip("<|>"), float(found[0][1]))
            for job, found in zip(jobs, detected, strict=True)
        ]

    def _tokenizer(self, language: str, task: str) -> Tokenizer:
        key = (language, task)
        if key not in self._tokenizers:
            self._tokenizers[key] = Tokenizer(
                self._model.hf_tokenizer, self.multilingual, task=task, language=language
            )
        return self._tokenizers[key]

    def _prompt(self, job: DecodeJob, language: str) -> tuple[int, ...]:
        tokenizer = self._tokenizer(language, job.task)
        # Ended like a sentence: left open, the terms are taken up again in the text more often.
        terms = ", ".join(job.keyterms).rstrip(".")
        prompt = self._model.get_prompt(tokenizer, [], hotwords=f"{terms}." if terms else None)
        start = len(prompt) - len(tokenizer.sot_sequence)
        return (*prompt[: min(start, MAX_KEYTERM_TOKENS)], *prompt[start:])

    def _generate(
        self,
        jobs: Sequence[DecodeJob],
        encoded: Any,
        prompt: tuple[int, ...],
        languages: Sequence[tuple[str, float]],
    ) -> list[Transcript]:
        limit = max(token_limit(job.seconds, self._settings) for job in jobs)
        results = self._model.model.generate(
            encoded,
            [list(prompt)] * len(jobs),
            beam_size=1,
            # CTranslate2 gives the text half of max_length, and no more than the prompt leaves of it; a prompt
            # longer than all of it makes CTranslate2 4.8 crash the process.
            max_length=min(max(2 * limit, len(prompt) + limit), self._model.max_length),
            return_scores=True,
            return_no_speech_prob=True,
            # 0.2 MB a token: not for the long windows of files.
            return_logits_vocab=any(job.ending for job in jobs),
        )
        tokenizer = self._tokenizer(languages[0][0], jobs[0].task)
        found = [
            pieces(
                result.sequences_ids[0],
                timestamp_begin=tokenizer.timestamp_begin,
                end_of_text=tokenizer.eot,
                audio_seconds=job.seconds,
                limit=limit,
                settings=self._settings,
            )
            for job, result in zip(jobs, results, strict=True)
        ]
        words = self._align(jobs, encoded, found, tokenizer)
        transcripts = [
            self._transcript(job, tokenizer, result, job_pieces, job_words, language)
            for job, result, job_pieces, job_words, language in zip(
                jobs, results, found, words, languages, strict=True
            )
        ]
        return [
            replace(transcript, align=self._aligner(transcript, job, encoded, row, found[row], tokenizer))
            if job.words is WordTimes.ON_DEMAND and transcript.text
            else transcript
            for row, (transcript, job) in enumerate(zip(transcripts, jobs, strict=True))
        ]

    def _aligner(
        self,
        transcript: Transcript,
        job: DecodeJob,
        encoded: Any,
        row: int,
        found: list[Piece],
        tokenizer: Tokenizer,
    ) -> Callable[[], Transcript]:
        own = _rows(encoded, [row]) if encoded.shape[0] > 1 else encoded

        def align() -> Transcript:
            (words,) = self._align([replace(job, words=WordTimes.WITH_TEXT)], own, [found], tokenizer)
            return replace(transcript, words=_told(words, transcript.text) or transcript.words, align=None)

        return align

    def _align(
        self, jobs: Sequence[DecodeJob], encoded: Any, found: list[list[Piece]], tokenizer: Tokenizer
    ) -> list[tuple[Word, ...]]:
        words: list[tuple[Word, ...]] = [()] * len(jobs)
        rows = [row for row, job in enumerate(jobs) if job.words is WordTimes.WITH_TEXT and found[row]]
        if not rows:
            return words
        part = encoded if len(rows) == len(jobs) else _rows(encoded, rows)
        texts = [[token for piece in found[row] for token in piece.tokens] for row in rows]
        frames = min(max(int(jobs[row].seconds * FRAMES_PER_SECOND) for row in rows), part.shape[1] * 2)
        for row, aligned in zip(
            rows, self._model.find_alignment(tokenizer, texts, part, frames), strict=True
        ):
            merge_punctuations(aligned, PREPENDED_PUNCTUATION, APPENDED_PUNCTUATION)
            words[row] = tuple(_word(item, jobs[row].offset) for item in aligned if item["word"].strip())
        return words

    def _transcript(
        self,
        job: DecodeJob,
        tokenizer: Tokenizer,
        result: Any,
        found: list[Piece],
        words: tuple[Word, ...],
        language: tuple[str, float],
    ) -> Transcript:
        # CTranslate2's score is the mean over the generated tokens.
        log_probability = float(result.scores[0])
        text = tokenizer.decode([token for piece in found for token in piece.tokens]).strip()
        if not words:
            confidence = round(math.exp(log_probability), 3)
            words = tuple(Word(word, confidence) for word in text.split())
        clean = spoken(text)
        return Transcript(
            text=clean,
            words=words if clean == text else _told(words, clean),
            segments=tuple(
                Segment(
                    tokenizer.decode(list(piece.tokens)).strip(),
                    job.offset + piece.start,
                    job.offset + piece.end,
                    piece.tokens,
                )
                for piece in found
            ),
            language=language[0],
            language_probability=language[1],
            average_log_probability=log_probability,
            no_speech_probability=float(result.no_speech_prob),
            compression_ratio=compression_ratio(text),
            sentence_log_odds=self._sentence_log_odds(result, found, tokenizer) if job.ending else 0.0,
        )

    def _sentence_log_odds(self, result: Any, found: list[Piece], tokenizer: Tokenizer) -> float:
        kept = sum(len(piece.tokens) for piece in found)
        return sentence_log_odds(result.sequences_ids[0], result.logits[0], kept, tokenizer, self._marks)


def _told(words: Sequence[Word], text: str) -> tuple[Word, ...]:
    """Return those of ``words`` that stand in ``text``, from which asides such as "[music]" were taken."""
    told = text.split()
    return tuple(word for word in words if word.text in told)


def _rows(encoded: Any, rows: Sequence[int]) -> Any:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(np.array(encoded)[list(rows)]))


def _word(item: dict[str, Any], offset: float) -> Word:
    return Word(
        text=item["word"].strip(),
        confidence=round(float(item["probability"]), 3),
        start=round(offset + float(item["start"]), 3),
        end=round(offset + float(item["end"]), 3),
    )
