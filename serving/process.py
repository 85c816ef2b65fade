"""One server process: uvicorn on uvloop, one-line errors, graceful drain."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import uvicorn
from starlette.applications import Starlette

from serving import collector
from serving.app import Readiness, Service, build_app
from serving.errors import ServingError
from telemetry import logs

#: Largest websocket message taken from a peer, bytes. An hour of mu-law would be 29 MB; no client of
#: ours sends more than a second or two at once.
MAX_MESSAGE_BYTES = 1 << 20
#: How often the draining server looks whether its last connection has gone, seconds.
DRAIN_POLL_SECONDS = 0.1


class DrainingServer(uvicorn.Server):
    """A uvicorn server that lets open connections finish on SIGTERM; a second signal ends at once."""

    def __init__(
        self,
        config: uvicorn.Config,
        readiness: Readiness,
        *,
        drain_seconds: float,
        on_drain: Callable[[], None] = lambda: None,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(config)
        self._readiness = readiness
        self._drain_seconds = drain_seconds
        self._on_drain = on_drain
        self._busy = busy

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain on SIGTERM; stop on anything else, or when asked twice."""
        if sig != signal.SIGTERM or self._readiness.state == "draining" or self._drain_seconds <= 0:
            self.should_exit = True
            return
        self._readiness.draining()
        self._on_drain()
        threading.Thread(target=self._stop_when_idle, name="drain", daemon=True).start()

    def _stop_when_idle(self) -> None:
        deadline = time.monotonic() + self._drain_seconds
        while (self.server_state.connections or self._busy()) and time.monotonic() < deadline:
            time.sleep(DRAIN_POLL_SECONDS)
        self.should_exit = True


def serve(
    service: Service,
    *,
    host: str,
    port: int,
    drain_seconds: float = 30.0,
    impediment: Callable[[], str] = lambda: "",
    certificate: str = "",
    certificate_key: str = "",
    on_drain: Callable[[], None] = lambda: None,
    busy: Callable[[], bool] = lambda: False,
) -> NoReturn:
    """Serve ``service`` on ``host``:``port`` until told to stop; never returns.

    Args:
        service: what to serve.
        host: address to bind.
        port: TCP port to bind; one that is taken is a one-line error and exit status 1.
        drain_seconds: how long calls in progress may go on after SIGTERM.
        impediment: says what keeps a ready server from taking work for now; empty: nothing.
        certificate: PEM file of the certificate chain; empty: no TLS.
        certificate_key: PEM file of its private key.
        on_drain: called when draining begins, from a signal handler.
        busy: whether work goes on that is no connection to this server; draining waits for it too.

    """
    logs.configure()
    try:
        listener = bind(host, port)
    except ServingError as error:
        fail(service.name, error)
    failed = threading.Event()
    server: DrainingServer

    def stop() -> None:
        failed.set()
        server.should_exit = True

    app = build_app(service, on_ready=collector.settle, on_failure=stop, impediment=impediment)
    try:
        config = uvicorn_config(app, certificate=certificate, certificate_key=certificate_key)
        config.load()
    except OSError as error:
        fail(service.name, ServingError(f"TLS: {certificate}, {certificate_key}: {error}"))
    server = DrainingServer(
        config, app.state.readiness, drain_seconds=drain_seconds, on_drain=on_drain, busy=busy
    )
    server.run(sockets=[listener])
    if failed.is_set():
        fail(service.name, ServingError(app.state.readiness.reason))
    sys.exit(0)


def uvicorn_config(app: Starlette, *, certificate: str = "", certificate_key: str = "") -> uvicorn.Config:
    """Return the configuration every Offhook server runs under."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=1,
        ssl_certfile=certificate or None,
        ssl_keyfile=certificate_key or None,
    )


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ServingError: the address is in use or cannot be bound.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ServingError(
            f"cannot listen on {host}:{port}: {reason}; stop what holds it or choose another port"
        ) from None
    return listener


def fail(name: str, error: Exception) -> NoReturn:
    """Print one line that says what is wrong and exit with status 1."""
    print(f"offhook {name}: {error}", file=sys.stderr, flush=True)
    sys.exit(1)
