"""The real Prometheus and Alertmanager over our real metrics: panels have data, a burn reaches a webhook."""

import contextlib
import json
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml
from prometheus_client import make_asgi_app

from telemetry import metrics, names
from telemetry.dashboards import WINDOW, Panel, dashboards
from telemetry.metrics import CallLabels
from telemetry.rules import alertmanager_config, prometheus_config, rule_groups
from telemetry.slo import Alerting, load_objectives
from tests.telemetry.conftest import tool

#: A version no other test has: all of them share this process and its metrics.
LABELS = CallLabels("twilio", "concierge", "watched-version")
UNTRACED = "0" * 32
TRACE = "0af7651916cd43dd8448eb211c80319c"
#: Long enough for a loaded machine; nothing here waits that long where all is well.
PATIENCE_SECONDS = 60.0


class Webhook(ThreadingHTTPServer):
    """Keeps the alerts that Alertmanager sends."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receiver)
        self.alerts: list[dict[str, Any]] = []


class _Receiver(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.alerts += [{"path": self.path, **alert} for alert in body["alerts"]]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hold_calls(count: int, seconds: float, outcome: str = "completed") -> None:
    """Count calls of two turns each, as the recorder does."""
    for _ in range(count):
        for figure in names.FIGURES:
            for trace_id in (TRACE, UNTRACED):
                metrics.observe(
                    figure, seconds, LABELS, model="m", replica="127.0.0.1:8083", trace_id=trace_id
                )
        metrics.TURNS.labels(*LABELS, "answered").inc(2)
        metrics.CALLS.labels(*LABELS, outcome).inc()
        metrics.CALL_SECONDS.labels(*LABELS).inc(20)
        metrics.COST.labels(*LABELS, "machine").inc(0.01)
        metrics.SPECULATIONS.labels(*LABELS, "used").inc()
        metrics.ENGINE_SECONDS.labels(*LABELS, "llm").inc(1)
        for kind in ("input", "output", "cached"):
            metrics.TOKENS.labels(*LABELS, kind).inc(100)


class Watch:
    """A running Prometheus."""

    def __init__(self, url: str, webhook: Webhook) -> None:
        self.url = url
        self.webhook = webhook

    def get(self, path: str, **parameters: str) -> Any:
        """Ask Prometheus's API."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as response:
            return json.load(response)["data"]

    def query(self, expression: str) -> list[Any]:
        """Return the result of an instant query."""
        result: list[Any] = self.get("query", query=expression)["result"]
        return result


def until(true: Callable[[], Any], what: str) -> None:
    """Wait for something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with contextlib.suppress(OSError):
            if true():
                return
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.2)


@contextlib.contextmanager
def process(*command: str, log: Path) -> Iterator[None]:
    """Run a program in the background."""
    with log.open("w") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield
    finally:
        running.terminate()
        running.wait(10)


@contextlib.contextmanager
def metrics_server(port: int) -> Iterator[None]:
    """Serve this process's registry."""
    server = uvicorn.Server(uvicorn.Config(make_asgi_app(), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """Prometheus and Alertmanager with what is generated, only on other ports and every second."""
    folder = tmp_path_factory.mktemp("prometheus")
    ours, prometheus, alertmanager = free_port(), free_port(), free_port()
    with Webhook() as webhook:
        threading.Thread(target=webhook.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{webhook.server_port}"
        alerting = Alerting(page_webhook=f"{base}/page", ticket_webhook=f"{base}/ticket")
        objectives = load_objectives().model_copy(update={"alerting": alerting})
        config = prometheus_config()
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager}"]
        config["scrape_configs"][0]["static_configs"] = [
            {"targets": [f"127.0.0.1:{ours}"], "labels": {"server": "gateway"}}
        ]
        routes = alertmanager_config(objectives)
        routes["route"]["group_wait"] = "1s"
        for name, content in (
            ("prometheus.yml", config),
            ("rules.yml", rule_groups(objectives)),
            ("alertmanager.yml", routes),
        ):
            (folder / name).write_text(yaml.safe_dump(content))
        metrics.prepare(LABELS)
        metrics.CALLS_CAPACITY.set(32)
        metrics.CALLS_ACTIVE.labels(*LABELS).set(1)
        metrics.TASKS.set(10)
        metrics.REFUSALS.labels("twilio", "bad_signature").inc()
        metrics.SPANS_DROPPED.labels("otlp", "queue full")
        hold_calls(1, 0.4)
        with (
            metrics_server(ours),
            process(
                tool("prometheus-alertmanager"), f"--config.file={folder}/alertmanager.yml",
                f"--storage.path={folder}/am", f"--web.listen-address=127.0.0.1:{alertmanager}",
                "--cluster.listen-address=", log=folder / "alertmanager.log",
            ),
            process(
                tool("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{prometheus}", "--enable-feature=exemplar-storage",
                log=folder / "prometheus.log",
            ),
        ):  # fmt: skip
            running = Watch(f"http://127.0.0.1:{prometheus}", webhook)
            until(lambda: running.query("voice_calls_total"), "a first scrape")
            for _ in range(5):
                hold_calls(8, 0.4)
                time.sleep(1.1)
            until(lambda: running.query('slo:error_ratio:rate5m{slo="voice-to-voice"}'), "a recorded ratio")
            yield running
        webhook.shutdown()


PANELS = [
    pytest.param(panel, id=f"{name}: {panel.title}")
    for name, (_, panels) in dashboards(load_objectives()).items()
    for panel in panels
    if not panel.needs
]


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_has_data(panel: Panel, watch: Watch) -> None:
    """Each query of each panel, as Grafana would send it, returns something after a few calls."""
    for expression, _ in panel.queries:
        asked = expression.replace(WINDOW, "1m").replace("$door", ".*").replace("$agent", ".*")
        until(lambda asked=asked: watch.query(asked), asked)


def test_quantiles_agree_with_what_was_measured(watch: Watch) -> None:
    """Every turn took 0.4 s: the quantile lies within that value's bucket."""
    name = names.VOICE_TO_VOICE.metric
    (result,) = watch.query(f"histogram_quantile(0.95, sum by (le) (rate({name}_bucket[1m])))")
    assert 0.3 < float(result["value"][1]) <= 0.4


def test_exemplars_lead_to_traces(watch: Watch) -> None:
    """Prometheus stores the trace ids that come with the histograms, and none for calls without a trace."""
    name = f"{names.VOICE_TO_VOICE.metric}_bucket"
    now = time.time()
    series = f'{name}{{version="{LABELS.version}"}}'
    found = watch.get("query_exemplars", query=series, start=str(now - 300), end=str(now + 1))
    assert {exemplar["labels"]["trace_id"] for item in found for exemplar in item["exemplars"]} == {TRACE}


def test_a_burn_reaches_the_webhook(watch: Watch) -> None:
    """A healthy service sent nothing; then every call is slow, and the page arrives with its objective."""
    assert not [alert for alert in watch.webhook.alerts if alert["labels"].get("slo") == "voice-to-voice"]

    def paged() -> bool:
        hold_calls(20, 2.0)
        return any(
            alert["path"] == "/page" and alert["labels"]["alertname"] == "VoiceToVoiceBurnsFast"
            for alert in watch.webhook.alerts
        )

    until(paged, "a page")
    assert watch.query('ALERTS{alertname="VoiceToVoiceBurnsFast",alertstate="firing"}')


def test_servers_that_run_are_not_reported_down(watch: Watch) -> None:
    """Up is up."""
    assert watch.query('up{job="offhook"} == 1')
    assert not watch.query('ALERTS{alertname="ServerDown"}')
