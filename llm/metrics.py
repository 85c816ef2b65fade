"""Prometheus collectors of the client: what an answer took beyond one request."""

from prometheus_client import Counter, Gauge

from llm.pool import ReplicaPool

ATTEMPTS = Counter("voice_llm_attempts", "Requests sent to language model engines.")
MOVES = Counter("voice_llm_moves", "Answers that another engine had to take over, each time counted.")
HEDGES = Counter("voice_llm_hedges", "Second engines asked because the first was slow to begin.")
SHUT_OUT = Gauge("voice_llm_replicas_shut_out", "Replicas whose circuit breaker is open.")
REPLICAS = Gauge("voice_llm_replicas", "Replicas known.")


def record(attempts: int, moves: int, hedges: int, pool: ReplicaPool) -> None:
    """Record one finished answer."""
    ATTEMPTS.inc(attempts)
    MOVES.inc(moves)
    HEDGES.inc(hedges)
    SHUT_OUT.set(len(pool.shut_out()))
    REPLICAS.set(len(pool))
