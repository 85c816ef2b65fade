"""Who is rendered next, judged by the order of events."""

import asyncio
import threading

from hypothesis import given
from hypothesis import strategies as st

from tts.schedule import MAX_PUT_OFF_SECONDS, ComputePool, DeadlineQueue, Playback, Urgency


def test_a_waiting_caller_goes_before_a_listening_one() -> None:
    """Even one whose sound has just run out."""
    listening = Playback(0.0)
    listening.sent(1.0, now=1.0)
    waiting = Playback(5.0)
    assert waiting.urgency() < listening.urgency()


def test_of_two_listeners_the_one_whose_sound_ends_first() -> None:
    """The deadline is when what was sent has been played."""
    short, long = Playback(0.0), Playback(0.0)
    short.sent(0.5, now=1.0)
    long.sent(2.0, now=0.5)
    assert short.urgency() < long.urgency()


def test_a_flood_comes_after_everybody_else() -> None:
    """Streams beyond a connection's fair share wait behind a caller who only listens."""
    listening = Playback(0.0)
    listening.sent(9.0, now=1.0)
    assert listening.urgency() < Playback(0.0, surplus=True).urgency()


def test_sound_that_ran_out_does_not_count_twice() -> None:
    """After a gap, playing begins anew when the next sound arrives."""
    playback = Playback(0.0)
    playback.sent(1.0, now=1.0)
    playback.sent(1.0, now=5.0)
    assert playback.urgency().due == 6.0


def test_what_has_sound_enough_may_wait_and_not_for_long() -> None:
    """A caller who waits for the first sound is never put off; nor is a client that wants it all at once."""
    paced, hasty = Playback(0.0, max_ahead_seconds=5.0), Playback(0.0)
    assert paced.put_off(0.0) == 0.0
    for playback in (paced, hasty):
        playback.sent(6.0, now=0.0)
    assert hasty.put_off(0.0) == 0.0
    assert paced.put_off(0.0) == 1.0
    assert paced.put_off(1.5) == 0.0
    paced.sent(60.0, now=1.5)
    assert paced.put_off(1.5) == MAX_PUT_OFF_SECONDS


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 100))))
def test_the_queue_gives_the_most_urgent_first(urgencies: list[tuple[int, float]]) -> None:
    """Items come out sorted by urgency, equals in the order they came."""
    queue: DeadlineQueue[int] = DeadlineQueue()
    for index, urgency in enumerate(urgencies):
        queue.push(Urgency(0, *urgency), index)
    expected = sorted(range(len(urgencies)), key=lambda index: (urgencies[index], index))
    assert [queue.pop() for _ in range(len(queue))] == expected


async def test_steps_run_by_urgency() -> None:
    """While one step runs, others queue up; the most urgent is next, whenever it came."""
    pool = ComputePool(1)
    gate = threading.Event()
    order: list[str] = []

    async def step(name: str, urgency: Urgency) -> None:
        await pool.run(urgency, lambda: order.append(name))

    async with asyncio.TaskGroup() as group:
        group.create_task(pool.run(Urgency(0, 1, 0.0), lambda: gate.wait(10)))
        await asyncio.sleep(0)
        group.create_task(step("later sentence", Urgency(0, 1, 1.0)))
        group.create_task(step("second caller", Urgency(0, 0, 3.0)))
        group.create_task(step("first caller", Urgency(0, 0, 2.0)))
        await asyncio.sleep(0)
        assert pool.waiting == 3
        gate.set()
    assert order == ["first caller", "second caller", "later sentence"]
    pool.close()


async def test_a_cancelled_step_never_runs_and_frees_its_place() -> None:
    """What was cancelled while it waited is skipped; a running step holds its thread to its end."""
    pool = ComputePool(1)
    gate = threading.Event()
    ran: list[str] = []
    running = asyncio.ensure_future(pool.run(Urgency(0, 0, 0.0), lambda: gate.wait(10)))
    waiting = asyncio.ensure_future(pool.run(Urgency(0, 0, 1.0), lambda: ran.append("cancelled")))
    last = asyncio.ensure_future(pool.run(Urgency(0, 0, 2.0), lambda: ran.append("last")))
    await asyncio.sleep(0)
    waiting.cancel()
    running.cancel()
    await asyncio.wait([waiting, running])
    await asyncio.sleep(0)
    assert ran == []
    gate.set()
    await last
    assert ran == ["last"]
    pool.close()
