"""Ports for servers that are started for a while: those of a benchmark, a tuner, a test.

A port that the system itself would give (``bind`` to 0) may be given again, to any outgoing connection, before the
server listens there. These lie below that range (``ip_local_port_range`` begins at 32768 on Linux).
"""

import contextlib
import random
import socket

#: Where a free port is looked for: above the well-known services, below the system's ephemeral ports.
FIRST_PORT, LAST_PORT = 10_000, 32_767


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody uses just now, over TCP or UDP."""
    return free_ports(1, host)[0]


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Return so many different ones.

    Raises:
        OSError: ``host`` is no address of this machine, or every port is in use.

    """
    free: list[int] = []
    problem: OSError | None = None
    for port in random.sample(range(FIRST_PORT, LAST_PORT + 1), LAST_PORT - FIRST_PORT + 1):
        try:
            _probe(host, port)
        except OSError as error:
            problem = error
        else:
            free.append(port)
        if len(free) == count:
            return free
    raise problem or OSError(f"there are no {count} ports between {FIRST_PORT} and {LAST_PORT}")


def _probe(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as stack:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            stack.enter_context(socket.socket(family, kind)).bind((host, port))
