"""What may silence the agent, door by door."""

import pytest
from pydantic import ValidationError

from orchestration.guard import GuardSettings


def test_a_door_changes_only_what_it_names() -> None:
    """Everything else is as the section says."""
    guard = GuardSettings(
        verdict_seconds=0.4, doors={"twilio": {"max_false_alarms": 0, "cancel_echo": "always"}}
    )
    phone = guard.at("twilio")
    assert (phone.max_false_alarms, phone.cancel_echo, phone.verdict_seconds) == (0, "always", 0.4)
    assert guard.at("web") == guard
    assert phone.barge_in().max_false_alarms == 0


def test_a_wrong_key_is_refused() -> None:
    """A misspelled key is no silent no-op."""
    with pytest.raises(ValidationError, match="max_false_alarm"):
        GuardSettings(doors={"twilio": {"max_false_alarm": 0}})
