"""Ports that nobody uses."""

import socket

import pytest

from serving.ports import FIRST_PORT, LAST_PORT, free_port, free_ports


def test_they_differ_and_no_outgoing_connection_is_given_them() -> None:
    """Whoever asks for many gets as many, all below the system's own range."""
    ports = free_ports(500)
    assert len(set(ports)) == 500
    assert all(FIRST_PORT <= port <= LAST_PORT for port in ports)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_one_in_use_is_not_given(monkeypatch: pytest.MonkeyPatch, kind: socket.SocketKind) -> None:
    """Over TCP or UDP."""
    first, second = free_ports(2)
    monkeypatch.setattr("random.sample", lambda *_: [first, second])
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", first))
        assert free_port() == second


def test_a_host_that_is_not_here() -> None:
    """It is an error, not a port."""
    with pytest.raises(OSError, match="Cannot assign"):
        free_port("192.0.2.1")
