"""A session's decisions, and that every event it sends is one the openai SDK reads."""

from typing import Any

import pytest

from llm.client import Answer
from voice.realtime.effects import Ask, Configure, EndTurn, Hear, Silence, Transcribe, Typed
from voice.realtime.limits import SessionLimits
from voice.realtime.response import ToolCall

from .driving import Driver, audio, kinds

MANUAL = {"audio": {"input": {"turn_detection": None, "transcription": {}}}}
TRANSCRIBED = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
TOOL = {"type": "function", "name": "weather", "description": "Weather", "parameters": {"type": "object"}}


def test_a_spoken_turn_is_answered_in_openais_order() -> None:
    """Speech, its item, its transcript, then the response with its item, its part, its deltas, and their ends."""
    driver = Driver(**TRANSCRIBED)
    driver.take(driver.session.opened())
    driver.hear("StartOfTurn", "What")
    driver.hear("EndOfTurn", "What is it?")
    driver.answer("It", "is.")
    assert kinds(driver.sent) == [
        "session.created",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    started, stopped, committed = driver.sent[1:4]
    assert started["item_id"] == stopped["item_id"] == committed["item_id"]
    assert (started["audio_start_ms"], stopped["audio_end_ms"]) == (500, 1250)
    done = driver.sent[-1]["response"]
    assert done["status"] == "completed"
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "It is."}]
    assert (done["usage"]["input_tokens"], done["usage"]["output_tokens"]) == (10, 5)


def test_the_transcript_grows_by_what_is_sure() -> None:
    """A word is told once two guesses agree on it, and never taken back."""
    driver = Driver(**TRANSCRIBED)
    deltas = []
    for event, text in [
        ("StartOfTurn", "What"),
        ("Update", "What is"),
        ("Update", "What is the"),
        ("Update", "Wait"),
    ]:
        deltas += [told["delta"] for told in driver.hear(event, text) if "delta" in told]
    deltas += [told["delta"] for told in driver.hear("EndOfTurn", "What is the time?") if "delta" in told]
    assert "".join(deltas) == "What is the time?"


def test_without_transcription_nothing_is_told_of_it() -> None:
    """It is off until the client turns it on."""
    driver = Driver()
    driver.hear("StartOfTurn")
    driver.hear("Update", "What is")
    driver.hear("EndOfTurn", "What is it?")
    assert not [kind for kind in kinds(driver.sent) if "transcription" in kind]


def test_speech_interrupts() -> None:
    """The response is cancelled for the turn that begins; what was not heard is in no transcript."""
    driver = Driver()
    driver.hear("EndOfTurn", "Tell me.")
    driver.session.answers.begun()
    driver.take(driver.session.answers.sound(b"\0\0", 0.5))
    driver.take(driver.session.answers.word("Once"))
    events = driver.hear("StartOfTurn", "No")
    assert kinds(events)[0] == "input_audio_buffer.speech_started"
    done = events[-1]["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert done["output"][0]["status"] == "incomplete"
    assert done["output"][0]["content"][0]["transcript"] == "Once"
    assert not driver.take(driver.session.answers.word("upon"))


@pytest.mark.parametrize("late", [True, False])
def test_a_cancellation_that_comes_late_is_not_for_the_answer_to_the_interruption(late: bool) -> None:
    """Clients cancel, without a name, as they hear of speech; that one message is for what was cut off."""
    driver = Driver()
    driver.hear("EndOfTurn", "Tell me.")
    driver.session.answers.begun()
    driver.hear("StartOfTurn", "No")
    if not late:
        assert driver.error("response.cancel")["code"] == "response_cancel_not_active"
    driver.hear("EndOfTurn", "No.")
    driver.session.answers.begun()
    driver.now = 0.2
    if late:
        assert driver.error("response.cancel")["code"] == "response_cancel_not_active"
    (done,) = driver.send("response.cancel")
    assert done["response"]["status_details"]["reason"] == "client_cancelled"


def test_an_answer_to_an_interruption_can_be_cancelled() -> None:
    """By its name at once, and without one a moment later."""
    for seconds, named in ((0.2, True), (SessionLimits().late_cancel_seconds, False)):
        driver = Driver()
        driver.hear("EndOfTurn", "Tell me.")
        driver.session.answers.begun()
        driver.hear("StartOfTurn", "No")
        driver.hear("EndOfTurn", "No.")
        driver.now = seconds
        name = {"response_id": driver.session.answers.last_id} if named else {}
        (done,) = driver.send("response.cancel", **name)
        assert done["type"] == "response.done"


def test_what_still_comes_of_a_cancelled_response_is_not_sent() -> None:
    """Only what follows the beginning of the next one's output is."""
    driver = Driver()
    driver.hear("EndOfTurn", "One.")
    driver.session.answers.begun()
    driver.hear("StartOfTurn")
    driver.hear("EndOfTurn", "Two.")
    assert not driver.take(driver.session.answers.sound(b"\0\0", 0.5))
    assert not driver.take(driver.session.answers.finished())
    driver.session.answers.begun()
    assert "response.output_audio.delta" in kinds(driver.take(driver.session.answers.sound(b"\0\0", 0.5)))


def test_interrupt_response_false() -> None:
    """Speech leaves the response alone, and the turn that ends meanwhile is not answered."""
    detection = {"type": "server_vad", "interrupt_response": False}
    driver = Driver(audio={"input": {"turn_detection": detection}})
    driver.hear("EndOfTurn", "Tell me.")
    driver.session.answers.begun()
    assert not driver.session.interruptible
    assert kinds(driver.hear("StartOfTurn")) == ["input_audio_buffer.speech_started"]
    assert not driver.session.turn_info({"event": "EagerEndOfTurn"}, 0.0)[1]
    assert "response.created" not in kinds(driver.hear("EndOfTurn", "Yes, yes."))
    assert driver.session.request(None) is None


def test_create_response_false() -> None:
    """A turn that ends becomes an item; it is answered when the client asks."""
    driver = Driver(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
    assert not driver.session.turn_info({"event": "EagerEndOfTurn"}, 0.0)[1]
    assert "response.created" not in kinds(driver.hear("EndOfTurn", "Tell me."))
    assert driver.session.request(None) is None
    assert driver.session.request(None, eager=[{"role": "user", "content": "Tell"}]) is None
    driver.send("response.create")
    (ask,) = [effect for effect in driver.did if isinstance(effect, Ask)]
    request = driver.session.request(ask.response)
    assert request is not None
    assert request.messages == [{"role": "user", "content": "Tell me."}]


def test_a_turn_that_may_not_be_over_is_answered_ahead() -> None:
    """The mind is asked with what was understood so far; nothing of it is told before the turn ends."""
    driver = Driver(instructions="Be brief.")
    driver.hear("StartOfTurn")
    asked = driver.session.request(None, eager=[{"role": "user", "content": "Tell me."}])
    assert asked is not None
    assert [message["role"] for message in asked.messages] == ["system", "user"]
    driver.session.answers.answered(Answer(prompt_tokens=7, completion_tokens=3, complete=True))
    assert kinds(driver.sent) == ["input_audio_buffer.speech_started"]
    driver.hear("EndOfTurn", "Tell me.")
    driver.session.answers.begun()
    (done,) = driver.take(driver.session.answers.finished())
    assert done["response"]["usage"]["input_tokens"] == 7


def test_an_early_answer_that_reaches_the_mind_after_the_turn_has_ended() -> None:
    """It is the answer to that turn, once; a turn that nobody wants answered stays unanswered."""
    driver = Driver()
    driver.hear("StartOfTurn")
    driver.hear("EndOfTurn", "Tell me.")
    asked = driver.session.request(None, eager=[{"role": "user", "content": "Tell me."}])
    assert asked is not None
    assert asked.messages == [{"role": "user", "content": "Tell me."}]
    driver.session.answers.begun()
    assert driver.session.request(None, eager=[{"role": "user", "content": "Tell me."}]) is None


def test_manual_turns() -> None:
    """What was appended is committed, transcribed, and answered once that is done."""
    driver = Driver(**MANUAL)
    assert driver.send("input_audio_buffer.append", audio=audio(1.0)) == []
    assert kinds(driver.send("input_audio_buffer.commit")) == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    driver.send("response.create")
    (wanted,) = driver.did
    assert isinstance(wanted, Transcribe)
    assert len(wanted.audio) == 48_000
    events = driver.take(driver.session.transcribed(wanted, "What is it?"))
    assert events[0]["transcript"] == "What is it?"
    ask = driver.did[-1]
    assert isinstance(ask, Ask)
    request = driver.session.request(ask.response)
    assert request is not None
    assert request.messages[-1] == {"role": "user", "content": "What is it?"}
    assert "france" not in str(driver.sent)


def test_a_transcription_that_fails() -> None:
    """The client is told; its response goes on without that turn."""
    driver = Driver(**MANUAL)
    driver.send("input_audio_buffer.append", audio=audio())
    driver.send("input_audio_buffer.commit")
    driver.send("response.create")
    (wanted,) = driver.did
    assert isinstance(wanted, Transcribe)
    (failed,) = driver.take(driver.session.transcribed(wanted, None))
    assert failed["type"] == "conversation.item.input_audio_transcription.failed"
    assert isinstance(driver.did[-1], Ask)


def test_the_manual_buffer() -> None:
    """Less than 100 ms is no turn; it can be cleared; it is bounded."""
    driver = Driver(limits=SessionLimits(max_buffer_seconds=2.0), **MANUAL)
    assert driver.error("input_audio_buffer.commit")["code"] == "input_audio_buffer_commit_empty"
    driver.send("input_audio_buffer.append", audio=audio(1.5))
    assert driver.error("input_audio_buffer.append", audio=audio(1.0))["code"] == "input_audio_buffer_full"
    assert kinds(driver.send("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
    assert driver.error("input_audio_buffer.commit")["code"] == "input_audio_buffer_commit_empty"
    assert driver.error("input_audio_buffer.append", audio="%%%")["param"] == "audio"


def test_commit_while_the_ear_listens() -> None:
    """It ends the turn that is open; where there is none, there is nothing to commit."""
    driver = Driver()
    driver.send("input_audio_buffer.append", audio=audio())
    assert isinstance(driver.did[0], Hear)
    assert driver.error("input_audio_buffer.commit")["code"] == "input_audio_buffer_commit_empty"
    driver.hear("StartOfTurn")
    assert driver.send("input_audio_buffer.commit") == []
    assert isinstance(driver.did[-1], EndTurn)


def test_tools() -> None:
    """A call is handed to the client with its arguments; its output goes to the mind with the next response."""
    driver = Driver(tools=[TOOL])
    driver.add("How is the weather?")
    driver.send("response.create")
    ask = driver.did[-1]
    assert isinstance(ask, Ask)
    request = driver.session.request(ask.response)
    assert request is not None
    assert request.tools[0]["function"]["name"] == "weather"
    events = driver.take(driver.session.answers.called([ToolCall("call_1", "weather", '{"city": "Paris"}')]))
    assert kinds(events) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "conversation.item.done",
    ]
    driver.answer()
    assert driver.sent[-1]["response"]["output"][0]["arguments"] == '{"city": "Paris"}'
    output = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
    driver.send("conversation.item.create", item=output)
    driver.send("response.create", response={"tool_choice": "none"})
    ask = driver.did[-1]
    assert isinstance(ask, Ask)
    request = driver.session.request(ask.response)
    assert request is not None
    assert not request.tools
    assert [message["role"] for message in request.messages] == ["user", "assistant", "tool"]
    assert request.messages[1]["tool_calls"][0]["id"] == "call_1"


def test_truncation_keeps_what_was_heard() -> None:
    """The words of the first second stay, in the item and for the mind."""
    driver = Driver()
    driver.hear("EndOfTurn", "Count.")
    driver.answer("one", "two", "three")
    item_id = driver.sent[-1]["response"]["output"][0]["id"]
    (truncated,) = driver.send(
        "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=1000
    )
    assert truncated["audio_end_ms"] == 1000
    (shown,) = driver.send("conversation.item.retrieve", item_id=item_id)
    assert shown["item"]["content"][0]["transcript"] == "one two"
    driver.send("response.create")
    ask = driver.did[-1]
    assert isinstance(ask, Ask)
    request = driver.session.request(ask.response)
    assert request is not None
    assert request.messages[-1] == {"role": "assistant", "content": "one two"}


def test_truncation_of_what_is_being_said_stops_it() -> None:
    """A client that has cut an answer off does not want the rest of it."""
    driver = Driver()
    driver.hear("EndOfTurn", "Count.")
    driver.session.answers.begun()
    driver.take(driver.session.answers.sound(b"\0\0", 1.0))
    item_id = next(e["item"]["id"] for e in driver.sent if e["type"] == "response.output_item.added")
    events = driver.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=500)
    assert kinds(events)[-2:] == ["response.done", "conversation.item.truncated"]
    assert isinstance(driver.did[-1], Silence)


@pytest.mark.parametrize(("index", "target"), [(1, "spoken"), (0, "written"), (0, "user")])
def test_what_cannot_be_truncated(index: int, target: str) -> None:
    """Only the sound of an answer can."""
    driver = Driver()
    driver.hear("EndOfTurn", "Count.")
    driver.answer("one")
    ids = {
        "spoken": driver.sent[-1]["response"]["output"][0]["id"],
        "written": driver.add("Hello.", role="assistant"),
        "user": driver.add("Hello."),
    }
    error = driver.error(
        "conversation.item.truncate", item_id=ids[target], content_index=index, audio_end_ms=1
    )
    assert error["code"] == "invalid_value"


def test_items() -> None:
    """They go where they are put, are shown, and are deleted; what does not exist is an error that names it."""
    driver = Driver()
    second = driver.add("two")
    first = driver.add("one", previous_item_id="root")
    driver.add("between", previous_item_id=first)
    assert [item.text for item in driver.session.conversation] == ["one", "between", "two"]
    driver.send("conversation.item.delete", item_id=second)
    assert [item.text for item in driver.session.conversation] == ["one", "between"]
    for kind in ("retrieve", "delete", "truncate"):
        error = driver.error(
            f"conversation.item.{kind}", item_id=second, content_index=0, audio_end_ms=0, event_id="mine"
        )
        assert error["code"] == f"item_{kind}_invalid_item_id"
        assert error["event_id"] == "mine"
    item = {"type": "message", "role": "user", "content": []}
    assert (
        driver.error("conversation.item.create", item=item, previous_item_id="gone")["param"]
        == "previous_item_id"
    )
    taken = driver.error("conversation.item.create", item={**item, "id": first})
    assert taken["code"] == "item_create_duplicate_item_id"


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "dance"}, "item.type"),
        ({"type": "message", "role": "user"}, "item.content"),
        ({"type": "message", "role": "king", "content": []}, "item.role"),
        ({"type": "message", "role": "user", "content": [{"type": "input_image"}]}, "item.content[0].type"),
        ({"type": "function_call_output", "call_id": "c"}, "item.output"),
    ],
)
def test_items_that_are_none(item: dict[str, Any], param: str) -> None:
    """The error names the parameter."""
    assert Driver().error("conversation.item.create", item=item)["param"] == param


def test_one_response_at_a_time() -> None:
    """A second one is refused in OpenAI's words, which clients look for; so is cancelling none."""
    driver = Driver()
    cancelled = driver.error("response.cancel")
    assert cancelled["code"] == "response_cancel_not_active"
    assert cancelled["message"].startswith("Cancellation failed")
    driver.add("Hello.")
    driver.send("response.create", response={"metadata": {"client_event_id": "x"}})
    created = next(event for event in driver.sent if event["type"] == "response.created")
    assert created["response"]["metadata"] == {"client_event_id": "x"}
    again = driver.error("response.create", event_id="e1")
    assert (again["code"], again["event_id"]) == ("conversation_already_has_active_response", "e1")
    assert driver.error("response.cancel", response_id="another")["code"] == "response_cancel_not_active"
    (done,) = driver.send("response.cancel")
    assert done["response"]["status_details"]["reason"] == "client_cancelled"
    assert isinstance(driver.did[-1], Silence)
    assert isinstance(driver.did[0], Typed)


def test_a_response_beside_the_conversation() -> None:
    """It answers its own input, and leaves no item behind."""
    driver = Driver()
    known = driver.add("The password is swordfish.")
    driver.add("Hello.")
    message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Which?"}]}
    params = {
        "conversation": "none",
        "output_modalities": ["text"],
        "instructions": "Classify.",
        "input": [{"type": "item_reference", "id": known}, message],
    }
    driver.send("response.create", response=params)
    ask = driver.did[-1]
    assert isinstance(ask, Ask)
    request = driver.session.request(ask.response)
    assert request is not None
    assert not request.spoken
    assert [message["content"] for message in request.messages] == [
        "Classify.",
        "The password is swordfish.",
        "Which?",
    ]
    driver.session.answers.answered(Answer(completion_tokens=1, complete=True))
    driver.session.answers.begun()
    driver.take(driver.session.answers.written("yes"))
    events = driver.take(driver.session.answers.finished())
    assert kinds(events) == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]
    assert events[-1]["response"]["conversation_id"] is None
    assert len(driver.session.conversation) == 2


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (Answer(completion_tokens=8, complete=True), "incomplete", "max_output_tokens"),
        (Answer(completion_tokens=7, complete=True), "completed", None),
        (Answer(), "failed", None),
        (None, "failed", None),
    ],
)
def test_how_a_response_ends(answer: Answer | None, status: str, reason: str | None) -> None:
    """By itself, by its limit of tokens, or because the engine failed; the session goes on each time."""
    driver = Driver(max_output_tokens=8, output_modalities=["text"])
    driver.add("Hello.")
    driver.send("response.create")
    if answer:
        driver.session.answers.answered(answer)
    driver.session.answers.begun()
    done = driver.take(driver.session.answers.finished())[-1]["response"]
    assert done["status"] == status
    assert (done["status_details"] or {}).get("reason") == reason
    assert driver.session.answers.active is None


def test_a_response_of_which_nothing_comes() -> None:
    """It is given up, once; one whose output has begun is not."""
    driver = Driver()
    driver.hear("EndOfTurn", "Hello.")
    response = driver.session.answers.active
    assert response is not None
    (done,) = driver.take(driver.session.answers.give_up(response))
    assert done["response"]["status"] == "failed"
    assert not driver.session.answers.give_up(response)
    driver.hear("EndOfTurn", "Hello again.")
    driver.session.answers.begun()
    assert driver.session.answers.active is not None
    assert not driver.session.answers.give_up(driver.session.answers.active)


def test_the_session_object() -> None:
    """An update changes what it names, null takes a setting back, and what is wrong changes nothing."""
    driver = Driver()
    (updated,) = driver.send(
        "session.update",
        session={
            "type": "realtime",
            "instructions": "Be brief.",
            "output_modalities": ["text"],
            "audio": {
                "input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}},
                "output": {"voice": "marin"},
            },
        },
    )
    session = updated["session"]
    assert session["object"] == "realtime.session"
    assert session["audio"]["input"]["turn_detection"]["eagerness"] == "high"
    assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert isinstance(driver.did[-1], Configure)
    (updated,) = driver.send(
        "session.update",
        session={"type": "realtime", "output_modalities": None, "audio": {"input": {"turn_detection": None}}},
    )
    assert updated["session"]["audio"]["input"]["turn_detection"] is None
    assert updated["session"]["output_modalities"] == ["audio"]
    assert updated["session"]["instructions"] == "Be brief."
    before = driver.session.config
    driver.error("session.update", session={"instructions": "No.", "max_output_tokens": 0})
    assert driver.session.config == before


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"modalities": ["text"]}, "unknown_parameter", "session.modalities"),
        ({"output_modalities": ["text", "audio"]}, "invalid_value", "session.output_modalities"),
        ({"max_output_tokens": -1}, "invalid_value", "session.max_output_tokens"),
        ({"instructions": 7}, "invalid_type", "session.instructions"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 8000}}}}, "invalid_value",
         "session.audio.input.format.rate"),
        ({"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}}}, "invalid_value",
         "session.audio.input.turn_detection.threshold"),
        ({"audio": {"output": {"voice": "caruso"}}}, "invalid_value", "session.audio.output.voice"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "invalid_value", "session.tools[0].type"),
    ],
)  # fmt: skip
def test_settings_that_are_refused(session: dict[str, Any], code: str, param: str) -> None:
    """The error says which and why."""
    error = Driver().error("session.update", session=session)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["code"] == code


def test_the_voice_stays_once_heard() -> None:
    """As OpenAI has it."""
    driver = Driver()
    driver.hear("EndOfTurn", "Count.")
    driver.answer("one")
    error = driver.error("session.update", session={"audio": {"output": {"voice": "joe"}}})
    assert error["code"] == "cannot_update_voice"


def test_the_output_can_be_cut_off() -> None:
    """`output_audio_buffer.clear` stops what is being said."""
    driver = Driver()
    driver.hear("EndOfTurn", "Count.")
    driver.session.answers.begun()
    driver.take(driver.session.answers.sound(b"\0\0", 1.0))
    assert kinds(driver.send("output_audio_buffer.clear"))[-1] == "output_audio_buffer.cleared"
    assert isinstance(driver.did[-1], Silence)
    assert driver.session.answers.active is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ("[]", "invalid_event"),
        ('{"type": "dance"}', "invalid_event"),
        ('{"type": ["a"]}', "invalid_event"),
        ('{"type": "session.update", "session": ' + '{"a":' * 40 + "1" + "}" * 41, "invalid_event"),
        ('{"type": "response.create", "response": {"instructions": "\\ud800"}}', "invalid_event"),
        ('{"type": "session.update", "session": {"tracing": 1e999}}', "invalid_event"),
        ('{"type": "session.update"}', "missing_required_parameter"),
    ],
)
def test_garbage(text: str, code: str) -> None:
    """It is answered by an error, and the session goes on."""
    driver = Driver()
    (event,) = driver.take(driver.session.received(text, 0.0))
    assert event["error"]["code"] == code
    assert driver.add("Hello.")
