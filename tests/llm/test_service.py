"""The pipecat service answers a context through the real engine and says what it measured."""

import json

from pipecat.classifiers.llm.classifier import LLMClassifier
from pipecat.extensions.voicemail.voicemail_detector import VOICEMAIL_QUESTION
from pipecat.frames.frames import (
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.tests.utils import run_test

from llm.client import Answer, LLMClient
from llm.failover import Limits
from llm.profile import Sampling
from llm.replica import Replica
from llm.service import OffhookLLMService
from llm.sources import Source
from tests.llm.fake_engine import FakeEngine


async def test_a_context_becomes_text_frames_and_a_measurement(replica: Replica) -> None:
    """Start, text, end; the answer's times are in order and its tokens counted."""
    answers: list[Answer] = []
    async with LLMClient([Source(replica)], Limits()) as client:
        service = OffhookLLMService(
            client,
            call="call-1",
            sampling=Sampling(temperature=0, max_tokens=40),
            system_prompt="You are a helpful phone assistant. Answer each question with one short sentence.",
            on_answer=answers.append,
        )
        context = LLMContext([{"role": "user", "content": "What is the capital of France?"}])
        down, _ = await run_test(service, frames_to_send=[LLMContextFrame(context)])
    kinds = [type(frame) for frame in down]
    begin, end = kinds.index(LLMFullResponseStartFrame), kinds.index(LLMFullResponseEndFrame)
    assert kinds[begin + 1 : end] == [LLMTextFrame] * (end - begin - 1)
    assert "Paris" in "".join(frame.text for frame in down if isinstance(frame, LLMTextFrame))
    (answer,) = answers
    assert answer.first_token
    assert answer.finished
    assert answer.sent < answer.first_token < answer.finished
    assert answer.prompt_tokens > 0
    assert answer.completion_tokens > 0


async def test_a_question_beside_the_conversation() -> None:
    """pipecat's classifier asks our engines, not somebody else's: with its own prompt, and a schema to keep to."""
    reply = '{"voicemail": {"choice": "voicemail", "probabilities": {"voicemail": 0.9, "conversation": 0.1}}}'
    async with (
        FakeEngine(reply, FakeEngine.END).serving() as engine,
        LLMClient([Source(Replica(engine.url, "model"))], Limits()) as client,
    ):
        service = OffhookLLMService(
            client, call="call-1", sampling=Sampling(), system_prompt="You are a librarian."
        )
        found = await LLMClassifier(llm=service).choice(
            "You have reached Dana.", {"voicemail": VOICEMAIL_QUESTION}
        )
    assert found["voicemail"].choice == "voicemail"
    (request,) = engine.requests
    assert "librarian" not in json.dumps(request)
    assert "You have reached Dana." in request["messages"][-1]["content"]
    assert request["response_format"]["json_schema"]["schema"]["required"] == ["voicemail"]
