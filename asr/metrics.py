"""Prometheus collectors of the ear."""

from prometheus_client import Counter, Gauge, Histogram

BUCKETS_SECONDS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0)

STREAMS = Gauge("asr_streams", "Open streams.")
TURNS = Counter("asr_turns", "Turns that ended, by what ended them.", ("trigger",))
EAGER_ENDS = Counter("asr_eager_ends", "Ends of turn announced early.")
EAGER_ENDS_WITHDRAWN = Counter("asr_eager_ends_withdrawn", "Ends of turn announced early and taken back.")
DROPPED = Counter("asr_decodes_dropped", "Decodes dropped because something newer or more urgent came.")
BATCH_SIZE = Histogram("asr_batch_size", "Decodes in one batch.", buckets=(1, 2, 4, 8, 16, 32, 64))
DECODE_SECONDS = Histogram(
    "asr_decode_seconds", "Seconds one batch took to decode.", ("priority",), buckets=BUCKETS_SECONDS
)
WAIT_SECONDS = Histogram(
    "asr_wait_seconds", "Seconds a decode waited for its turn.", ("priority",), buckets=BUCKETS_SECONDS
)
TRANSCRIPT_SECONDS = Histogram(
    "asr_transcription_delay_seconds", "Seconds from last speech to transcript.", buckets=BUCKETS_SECONDS
)
END_SECONDS = Histogram(
    "asr_end_of_turn_delay_seconds", "Seconds from last speech to the turn's end.", buckets=BUCKETS_SECONDS
)
