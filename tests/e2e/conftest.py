"""A stack that several tests of whole calls share."""

from collections.abc import Iterator

import pytest

from tests.conftest import Stack, start_stack

#: An agent that answers at length: there is something to interrupt.
TALKER = """
name = "talker"
greeting = "Hello."
system_prompt = "You are a helpful assistant on the telephone. Answer each question correctly in one short sentence."
[sampling]
temperature = 0.0
max_tokens = 60
"""


@pytest.fixture(scope="session")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose agent answers at length; nobody may stop or kill it."""
    folder = tmp_path_factory.mktemp("talker")
    (folder / "agent.toml").write_text(TALKER)
    with start_stack(folder, OFFHOOK_GATEWAY__AGENT="./agent.toml") as running:
        yield running
