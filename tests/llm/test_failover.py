"""The decisions of one answer: nothing lost, nothing said twice, nothing called twice."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llm.errors import DeadlineError, EngineError, NoReplicaError
from llm.failover import (
    Abandon,
    Action,
    AnswerRun,
    Ask,
    CallTools,
    Finish,
    GiveUp,
    Limits,
    Say,
    ToolCall,
    ToolFragment,
)
from llm.pool import ReplicaPool
from llm.replica import Replica

LIMITS = Limits(first_token=1.0, stall=0.5, hedge=None, total=20.0, retry=0.25, patience=2.0)


def pool_of(count: int, **keywords: bool) -> ReplicaPool:
    """Return a pool of ``count`` replicas named a, b, c..."""
    return ReplicaPool([Replica(f"http://{name}", "m", **keywords) for name in "abcdef"[:count]])  # type: ignore[arg-type]


def asked(actions: Iterable[Action]) -> Ask:
    """Return the one request among ``actions``."""
    (ask,) = [action for action in actions if isinstance(action, Ask)]
    return ask


def test_an_undisturbed_answer_is_one_request() -> None:
    """Text is passed on as it comes, and the end once."""
    run = AnswerRun(pool_of(2), LIMITS, call="c")
    first = asked(run.begin(0.0))
    assert run.text(first.attempt, "Paris", 0.1) == [Say("Paris")]
    assert run.ended(first.attempt, "stop", 0.2) == [Abandon(first.attempt), Finish("stop")]
    assert run.over


def test_a_broken_engine_is_continued_from_what_was_said() -> None:
    """The second engine gets the sentence so far, and only the rest is said."""
    run = AnswerRun(pool_of(2), LIMITS, call="c", max_tokens=10)
    first = asked(run.begin(0.0))
    run.text(first.attempt, "The capital", 0.1, tokens=2)
    second = asked(run.failed(first.attempt, EngineError("gone"), 0.2))
    assert second.replica != first.replica
    assert (second.said, second.said_tokens) == ("The capital", 2)
    assert run.text(second.attempt, " is Paris.", 0.3) == [Say(" is Paris.")]


def test_a_stream_without_finish_reason_was_cut_off() -> None:
    """A clean TCP end in the middle of a sentence is a failure."""
    run = AnswerRun(pool_of(2), LIMITS, call="c")
    first = asked(run.begin(0.0))
    run.text(first.attempt, "The", 0.1)
    assert asked(run.ended(first.attempt, "", 0.2)).said == "The"


def test_white_space_at_the_seam_is_said_once() -> None:
    """Templates trim the beginning they are given; its trailing space must not come twice."""
    run = AnswerRun(pool_of(2), LIMITS, call="c")
    first = asked(run.begin(0.0))
    run.text(first.attempt, "The ", 0.1)
    second = asked(run.failed(first.attempt, EngineError("gone"), 0.2))
    assert second.said == "The"
    assert run.text(second.attempt, " ", 0.3) == []
    assert run.text(second.attempt, "capital", 0.3) == [Say("capital")]


def test_a_hung_engine_is_left_at_the_stall_deadline() -> None:
    """No word for longer than the stall deadline moves the sentence."""
    run = AnswerRun(pool_of(2), LIMITS, call="c")
    first = asked(run.begin(0.0))
    run.text(first.attempt, "The", 0.1)
    assert run.deadline == pytest.approx(0.6)
    actions = run.elapsed(0.6)
    assert actions[0] == Abandon(first.attempt)
    assert asked(actions).said == "The"


def test_a_late_engine_is_waited_for_where_there_is_no_other() -> None:
    """With one replica a deadline ends nothing; its late text is still good."""
    run = AnswerRun(pool_of(1), LIMITS, call="c")
    first = asked(run.begin(0.0))
    assert run.elapsed(1.0) == []
    assert run.text(first.attempt, "Paris", 3.0) == [Say("Paris")]


def test_an_engine_that_goes_on_after_a_stall_is_let_back_in() -> None:
    """It was late, and not lost: the next answer finds its breaker closed."""
    pool = pool_of(1)
    run = AnswerRun(pool, LIMITS, call="c")
    first = asked(run.begin(0.0))
    run.text(first.attempt, "The", 0.1)
    run.elapsed(run.deadline)
    assert pool.shut_out() == [first.replica.url]
    run.text(first.attempt, " capital", 1.0)
    assert pool.shut_out() == []


def test_a_replica_that_comes_back_frees_a_waiting_answer() -> None:
    """While the only other engine is shut out the hung one is waited for; not a moment longer."""
    pool = pool_of(2)
    run = AnswerRun(pool, LIMITS, call="c")
    first = asked(run.begin(0.0))
    other = "http://b" if first.replica.url == "http://a" else "http://a"
    pool.failed(other, 0.9)
    assert run.elapsed(1.0) == []
    pool.probed(other, True, 1.1)
    assert asked(run.elapsed(1.25)).replica.url == other


def test_a_second_engine_is_asked_after_the_hedge_and_the_first_with_words_wins() -> None:
    """The loser is abandoned without being blamed."""
    pool = pool_of(2)
    run = AnswerRun(pool, Limits(first_token=1.0, hedge=0.2), call="c")
    first = asked(run.begin(0.0))
    second = asked(run.elapsed(0.2))
    assert run.text(second.attempt, "Paris", 0.3) == [Abandon(first.attempt), Say("Paris")]
    assert run.text(first.attempt, "Paris", 0.3) == []
    assert pool.shut_out() == []


def test_a_refused_request_is_not_sent_to_the_next_engine() -> None:
    """A bad request would be refused everywhere."""
    pool = pool_of(2)
    run = AnswerRun(pool, LIMITS, call="c")
    first = asked(run.begin(0.0))
    error = EngineError("bad request", status=400, retryable=False)
    assert run.failed(first.attempt, error, 0.1) == [GiveUp(error)]
    assert pool.shut_out() == []


def test_half_a_tool_call_is_thrown_away_and_made_again() -> None:
    """Only the complete call of the second engine is passed on, once."""
    run = AnswerRun(pool_of(2), LIMITS, call="c")
    first = asked(run.begin(0.0))
    assert run.tool(first.attempt, ToolFragment(0, "id-1", "transfer", '{"to": "sa'), 0.1) == []
    second = asked(run.failed(first.attempt, EngineError("gone"), 0.2))
    assert second.said == ""
    run.tool(second.attempt, ToolFragment(0, "id-2", "transfer", '{"to": '), 0.3)
    run.tool(second.attempt, ToolFragment(0, arguments='"sales"}'), 0.3)
    run.tool(second.attempt, ToolFragment(1, "id-3", "log", "{}"), 0.3)
    actions = run.ended(second.attempt, "tool_calls", 0.4)
    calls = (ToolCall("id-2", "transfer", '{"to": "sales"}'), ToolCall("id-3", "log", "{}"))
    assert actions == [CallTools(calls), Abandon(second.attempt), Finish("tool_calls")]


def test_engines_that_all_failed_are_asked_again_until_patience_ends() -> None:
    """A supervisor may be restarting them; then the answer is given up with the last error."""
    run = AnswerRun(pool_of(1), LIMITS, call="c")
    ask = asked(run.begin(0.0))
    now, error = 0.0, EngineError("connection refused")
    actions = run.failed(ask.attempt, error, now)
    rounds = 0
    while not run.over:
        now = run.deadline
        ask = asked(run.elapsed(now))
        actions = run.failed(ask.attempt, error, now)
        rounds += 1
    assert actions == [GiveUp(error)]
    assert now == pytest.approx(LIMITS.patience)
    assert rounds > 1


def test_an_engine_that_cannot_continue_is_not_given_half_a_sentence() -> None:
    """Rather an error than a sentence begun twice."""
    run = AnswerRun(pool_of(2, continues=False), LIMITS, call="c")
    first = asked(run.begin(0.0))
    run.text(first.attempt, "The", 0.1)
    (action,) = run.failed(first.attempt, EngineError("gone"), 0.2)
    assert isinstance(action, GiveUp)


def test_no_replica_at_all_is_an_error_at_once() -> None:
    """There is nothing to wait for."""
    (action,) = AnswerRun(pool_of(0), LIMITS, call="c").begin(0.0)
    assert isinstance(action, GiveUp)
    assert isinstance(action.error, NoReplicaError)


def test_the_whole_answer_has_a_deadline() -> None:
    """An engine that drips for ever is ended."""
    run = AnswerRun(pool_of(1), LIMITS, call="c")
    ask = asked(run.begin(0.0))
    run.text(ask.attempt, "a", 19.9)
    actions = run.elapsed(20.0)
    assert actions[0] == Abandon(ask.attempt)
    assert isinstance(actions[1], GiveUp)
    assert isinstance(actions[1].error, DeadlineError)


def test_an_answer_that_was_at_its_limit_when_its_engine_died_is_complete() -> None:
    """Nobody is asked for a word too many."""
    run = AnswerRun(pool_of(2), LIMITS, call="c", max_tokens=2)
    ask = asked(run.begin(0.0))
    run.text(ask.attempt, "a b", 0.1, tokens=2)
    assert run.failed(ask.attempt, EngineError("gone"), 0.2) == [Finish("length")]


SENTENCE = ["The", " capital", " of", " France", " is", " Paris", ",", " as", " you", " know", "."]


class AnyFaults(RuleBasedStateMachine):
    """Engines that all write the same sentence, and fail in any way at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.pool = pool_of(3)
        self.run = AnswerRun(
            self.pool, Limits(first_token=1, stall=0.5, hedge=0.3, total=1000, patience=1000), call="c"
        )
        self.live: dict[int, int] = {}
        self.heard = ""
        self.ends = 0
        self.carry_out(self.run.begin(0.0))

    def carry_out(self, actions: list[Action]) -> None:
        """Do what the run says."""
        for action in actions:
            match action:
                case Ask():
                    position = len(action.said)
                    texts = ["".join(SENTENCE[:n]) for n in range(len(SENTENCE) + 1)]
                    assert action.said in texts
                    assert len(texts[texts.index(action.said)]) == position
                    self.live[action.attempt] = texts.index(action.said)
                case Abandon():
                    self.live.pop(action.attempt, None)
                case Say():
                    self.heard += action.text
                case Finish():
                    self.ends += 1
                case GiveUp():
                    raise AssertionError(action.error)

    def running(self) -> bool:
        """Whether anything is being asked."""
        return bool(self.live) and not self.run.over

    @precondition(running)
    @rule(data=st.data())
    def writes(self, data: st.DataObject) -> None:
        """One engine writes its next word, or ends."""
        number = data.draw(st.sampled_from(sorted(self.live)))
        position = self.live[number]
        if position == len(SENTENCE):
            self.carry_out(self.run.ended(number, "stop", self.now))
        else:
            self.live[number] += 1
            self.carry_out(self.run.text(number, SENTENCE[position], self.now))

    @precondition(running)
    @rule(data=st.data())
    def breaks(self, data: st.DataObject) -> None:
        """One engine breaks off."""
        number = data.draw(st.sampled_from(sorted(self.live)))
        del self.live[number]
        self.carry_out(self.run.failed(number, EngineError("gone"), self.now))

    @rule(seconds=st.sampled_from([0.1, 0.3, 0.6, 1.5]))
    def waits(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds
        if not self.run.over and self.now >= self.run.deadline:
            self.carry_out(self.run.elapsed(self.now))

    @invariant()
    def nothing_lost_nothing_twice(self) -> None:
        """What was heard is the beginning of the sentence, and all of it at the end."""
        assert "".join(SENTENCE).startswith(self.heard)
        assert self.ends == (1 if self.run.over else 0)
        assert not self.run.over or self.heard == "".join(SENTENCE)

    @invariant()
    def requests_are_accounted_for(self) -> None:
        """The pool knows what is in flight, and something always happens next."""
        in_flight = sum(self.pool.in_flight(replica.url) for replica in self.pool.replicas)
        assert in_flight == len(self.live)
        assert self.run.over or self.live or self.run.deadline < float("inf")


TestAnyFaults = AnyFaults.TestCase
TestAnyFaults.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


@given(st.lists(st.sampled_from(["a", "b", " ", "  ", "\n"]), min_size=1), st.integers(0, 40))
def test_any_cut_in_any_white_space_is_seamless(parts: list[str], cut: int) -> None:
    """Whatever is trimmed from the beginning and written again is said once."""
    whole = "".join(parts)
    run = AnswerRun(pool_of(2), LIMITS, call="c")
    first = asked(run.begin(0.0))
    for part in parts[:cut]:
        run.text(first.attempt, part, 0.1)
    second = asked(run.failed(first.attempt, EngineError("gone"), 0.2))
    for letter in whole[len(second.said) :]:
        run.text(second.attempt, letter, 0.3)
    assert run.said == whole
