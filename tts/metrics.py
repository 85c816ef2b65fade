"""What the mouth's server counts, for Prometheus. Labels come from the settings, never from callers."""

from prometheus_client import Counter, Gauge, Histogram

from telemetry.metrics import BUCKETS_SECONDS

FIRST_AUDIO = Histogram(
    "tts_server_first_audio_seconds",
    "Seconds from a stream's first speakable chunk of text to its first audio, in the server.",
    ["voice"],
    buckets=BUCKETS_SECONDS,
)
AUDIO = Counter("tts_server_audio_seconds", "Seconds of speech made.", ["voice"])
CONTEXTS = Gauge("tts_server_contexts", "Streams of speech in progress.", ["voice"])
WAITING = Gauge("tts_server_waiting_steps", "Rendering steps that wait for a compute thread.")
CACHE = Counter("tts_server_phrase_cache", "Short phrases looked up in the cache.", ["result"])
FAILURES = Counter("tts_server_failures", "Streams that an engine failed on.", ["voice"])
