"""What the mind is asked: the settings of session and response, and the conversation. Sans-I/O."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from orchestration.dialogue import Request
from voice.realtime.config import SessionConfig
from voice.realtime.events import ResponseParams
from voice.realtime.items import Item, chat_messages, read_item

#: Finds an item of the conversation by its name.
Find = Callable[[str], Item]


def build_request(
    config: SessionConfig, params: ResponseParams, items: Iterable[Item], eager: Sequence[Any]
) -> Request:
    """Return the request of a response.

    Args:
        config: the session's settings.
        params: the response's own, which come first.
        items: the conversation, or what stands in its place.
        eager: messages of a turn that may not be over.

    """
    instructions = config.instructions if params.instructions is None else params.instructions
    choice = config.tool_choice if params.tool_choice is None else params.tool_choice
    tools = config.tools if params.tools is None else params.tools
    limit = params.max_output_tokens or config.max_output_tokens
    named = None if isinstance(choice, str) else {"type": "function", "function": {"name": choice.name}}
    system = [{"role": "system", "content": instructions}] if instructions else []
    return Request(
        messages=[*system, *chat_messages(items), *eager],
        tools=[] if choice == "none" else [tool.as_chat() for tool in tools],
        tool_choice=named or choice,
        max_tokens=limit if isinstance(limit, int) else None,
        temperature=params.temperature,
        spoken=(params.output_modalities or config.output_modalities) == ("audio",),
    )


def input_items(params: ResponseParams, find: Find, new_id: Callable[[str], str]) -> list[Item]:
    """Return the items that a response is to answer in place of the conversation.

    Raises:
        ClientEventError: one of them is none.

    """
    found = []
    for number, values in enumerate(params.input or ()):
        if values.get("type") == "item_reference":
            found.append(find(str(values.get("id"))))
        else:
            found.append(read_item(values, new_id("item"), at=f"response.input[{number}]")[0])
    return found
