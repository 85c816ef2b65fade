"""Names of sessions, items, responses and events."""

import secrets

#: Bytes of randomness in a name.
ID_BYTES = 12


def random_id(kind: str) -> str:
    """Return a new name, as ``item_…``."""
    return f"{kind}_{secrets.token_hex(ID_BYTES)}"
