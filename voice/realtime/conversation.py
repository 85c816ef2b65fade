"""The items of one session, in order. Sans-I/O."""

from collections.abc import Iterator

from voice.realtime.errors import ClientEventError
from voice.realtime.items import Item

#: Where a client puts an item that is to come first.
ROOT = "root"


class Conversation:
    """See the module's text.

    Args:
        max_items: how many it holds at most.

    """

    def __init__(self, *, max_items: int) -> None:
        self._max_items = max_items
        self._items: list[Item] = []

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def last_id(self) -> str | None:
        """Name of the last item; None while there is none."""
        return self._items[-1].id if self._items else None

    def get(self, item_id: str, *, purpose: str) -> Item:
        """Return an item.

        Args:
            item_id: its name.
            purpose: ``retrieve``, ``truncate`` or ``delete``, for the error's code.

        Raises:
            ClientEventError: there is none of that name.

        """
        for item in self._items:
            if item.id == item_id:
                return item
        raise ClientEventError(
            f"Item with item_id {item_id[:80]!r} does not exist.",
            code=f"item_{purpose}_invalid_item_id",
            param="item_id",
        )

    def awaits(self) -> bool:
        """Return whether something in it is still being transcribed."""
        return any(item.awaited for item in self._items)

    def append(self, item: Item) -> str | None:
        """Add what the session itself has to say at the end, and return what stood there before.

        The oldest item makes room when there are too many.
        """
        previous = self.last_id
        self._items.append(item)
        if len(self._items) > self._max_items:
            del self._items[0]
        return previous

    def insert(self, item: Item, after: str | None) -> str | None:
        """Add an item of the client's, and return the name of the item before it.

        Args:
            item: what to add.
            after: the item it follows; None for the end, :data:`ROOT` for the beginning.

        Raises:
            ClientEventError: that item does not exist, the name is taken, or there are too many.

        """
        if any(known.id == item.id for known in self._items):
            raise ClientEventError(
                f"there is an item {item.id[:80]!r} already; choose another id, or none",
                code="item_create_duplicate_item_id",
                param="item.id",
            )
        if len(self._items) >= self._max_items:
            raise ClientEventError(
                f"a conversation holds {self._max_items} items; delete some", code="conversation_full"
            )
        if after is None:
            position = len(self._items)
        elif after == ROOT:
            position = 0
        else:
            position = self._position_after(after)
        self._items.insert(position, item)
        return self._items[position - 1].id if position else None

    def _position_after(self, item_id: str) -> int:
        for position, item in enumerate(self._items):
            if item.id == item_id:
                return position + 1
        raise ClientEventError(
            f"previous_item_id {item_id[:80]!r} does not exist",
            code="item_create_invalid_previous_item_id",
            param="previous_item_id",
        )

    def delete(self, item_id: str) -> Item:
        """Remove an item and return it.

        Raises:
            ClientEventError: there is none of that name.

        """
        item = self.get(item_id, purpose="delete")
        self._items.remove(item)
        return item
