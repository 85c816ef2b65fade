"""What became of calls and turns, in the few words that are counted."""

from orchestration.timeline import Moment, Turn

#: Beginnings of the reasons that a call ends as it should.
COMPLETED = (
    "caller hung up",
    "the carrier says the call is over",
    "hung up by request",
    "the agent hung up",
    "transferred",
    "a machine picked up",
    "reached max_call_seconds",
    "nobody spoke for",
)
#: Beginnings of the reasons that lie with the caller or the line.
CALLER = ("protocol error", "connection to the caller was lost", "no audio from the caller")


def turn_outcome(turn: Turn) -> str:
    """Return one of :data:`telemetry.metrics.TURN_OUTCOMES`."""
    if turn.interrupted:
        return "interrupted"
    return "answered" if Moment.AUDIBLE in turn.moments or turn.handed_over else "unanswered"


def last_turn_outcome(turn: Turn, end_reason: str) -> str:
    """Return the same for a call's last turn: a caller who is gone need not be answered."""
    outcome = turn_outcome(turn)
    gone = end_reason.startswith((*COMPLETED, *CALLER))
    return "abandoned" if outcome == "unanswered" and gone else outcome


def call_outcome(end_reason: str, *, unanswered: int) -> str:
    """Return one of :data:`telemetry.metrics.CALL_OUTCOMES`.

    A call in which a turn was never answered has a fault, however it ended; so has one that ended for a reason
    nobody knows.
    """
    if unanswered or not end_reason.startswith((*COMPLETED, *CALLER)):
        return "fault"
    return "completed" if end_reason.startswith(COMPLETED) else "caller"
