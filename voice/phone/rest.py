"""Sends requests to a carrier's REST API."""

from typing import Any

import httpx

from serving.tls import trusted
from voice.errors import OutboundError
from voice.phone.carriers.base import RestRequest


async def send(request: RestRequest) -> dict[str, Any]:
    """Send a request; return the JSON object of the reply, empty where there is none.

    Raises:
        OutboundError: the carrier did not do it; the text says what it answered.

    """
    try:
        async with httpx.AsyncClient(timeout=request.seconds, verify=trusted()) as http:
            response = await http.request(
                request.method,
                request.url,
                auth=request.auth,
                headers=dict(request.headers),
                data=request.form,
                json=request.json,
            )
    except httpx.HTTPError as error:
        raise OutboundError(f"the carrier's API cannot be reached: {type(error).__name__}") from None
    if response.is_error:
        raise OutboundError(f"the carrier's API answered {response.status_code}: {response.text[:200]}")
    try:
        reply = response.json() if response.content else {}
    except ValueError:
        reply = {}
    return reply if isinstance(reply, dict) else {}
