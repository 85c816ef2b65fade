"""Whom and when Offhook may call."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx
import phonenumbers

from orchestration.doors import CallingHours, PhoneSettings
from serving.tls import trusted
from voice.errors import OutboundError

#: The owner's own check may take this long, seconds.
CHECK_SECONDS = 5.0


class CallingPolicy:
    """The check before every outbound call.

    Args:
        do_not_call: numbers never to be called, E.164.
        hours: when calls may be placed.

    Raises:
        OutboundError: the hours' time zone does not exist.

    """

    def __init__(self, do_not_call: Iterable[str], hours: CallingHours) -> None:
        self._do_not_call = frozenset(do_not_call)
        self._hours = hours
        try:
            self._zone = ZoneInfo(hours.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise OutboundError(f"[phone] hours.time_zone = {hours.time_zone!r}: no such time zone") from None

    @classmethod
    def from_settings(cls, settings: PhoneSettings) -> "CallingPolicy":
        """Return the policy that section ``[phone]`` describes.

        Raises:
            OutboundError: the do-not-call file cannot be read.

        """
        numbers: list[str] = []
        if settings.do_not_call_file:
            try:
                lines = Path(settings.do_not_call_file).read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise OutboundError(
                    f"[phone] do_not_call_file = {settings.do_not_call_file!r}: {error}; no call without it"
                ) from None
            numbers = [e164(line) for line in lines if line.strip() and not line.startswith("#")]
        return cls(numbers, settings.hours)

    def check(self, number: str, now: datetime) -> None:
        """Return if ``number`` (E.164, or a ``sip:`` URI) may be called at ``now``.

        Raises:
            OutboundError: it may not.

        """
        if (_number_in(number) if is_sip(number) else number) in self._do_not_call:
            raise OutboundError("this number is on the do-not-call list")
        hour = now.astimezone(self._zone).hour
        if not self._hours.first_hour <= hour < self._hours.last_hour:
            raise OutboundError(
                f"calls are placed from {self._hours.first_hour}:00 to {self._hours.last_hour}:00 "
                f"{self._hours.time_zone}"
            )


async def ask_owner(url: str, number: str, agent: str) -> None:
    """Ask the owner's own check whether ``number`` may be called; return if it may.

    Raises:
        OutboundError: it may not, or nobody can say.

    """
    try:
        async with httpx.AsyncClient(timeout=CHECK_SECONDS, verify=trusted()) as http:
            response = await http.post(url, json={"to": number, "agent": agent})
    except httpx.HTTPError as error:
        raise OutboundError(
            f"[phone] check_url cannot be asked ({type(error).__name__}); no call without it"
        ) from None
    if not response.is_success:
        raise OutboundError(f"[phone] check_url answered {response.status_code}: {response.text[:200]}")


def is_sip(address: str) -> bool:
    """Return whether an address is a ``sip:`` URI."""
    return address.lower().startswith(("sip:", "sips:"))


def _number_in(uri: str) -> str:
    """Return the telephone number that is the user of a ``sip:`` URI; empty where there is none."""
    user = uri.partition(":")[2].partition("@")[0].partition(";")[0]
    try:
        return e164(user)
    except OutboundError:
        return ""


def e164(number: str) -> str:
    """Return a telephone number in E.164 form.

    Raises:
        OutboundError: it is none; write it with its country code.

    """
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is None or not phonenumbers.is_possible_number(parsed):
        raise OutboundError(f"{number[:32]!r} is no telephone number; write it as +14155550123")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
