"""The real Prometheus and Alertmanager over our real metrics: quantiles, exemplars, a burn that reaches a webhook."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
import uvicorn
import yaml
from prometheus_client import make_asgi_app

from serving.ports import free_port
from telemetry import metrics, names
from telemetry.metrics import CallLabels
from telemetry.rules import alertmanager_config, prometheus_config, rule_groups
from telemetry.slo import Alerting, load_objectives
from tests.telemetry.conftest import tool
from tests.telemetry.watching import Watch, process, prometheus, serving, until

#: A version no other test has: all of them share this process and its metrics.
LABELS = CallLabels("twilio", "concierge", "watched-version")
UNTRACED = "0" * 32
TRACE = "0af7651916cd43dd8448eb211c80319c"


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


def hold_calls(count: int, seconds: float, outcome: str = "completed") -> None:
    """Count calls of two turns each, as the recorder does."""
    for _ in range(count):
        for figure in names.FIGURES:
            for trace_id in (TRACE, UNTRACED):
                metrics.observe(
                    figure, seconds, LABELS, model="m", replica="127.0.0.1:8083", trace_id=trace_id
                )
        metrics.CALLS.labels(*LABELS, outcome).inc()


class Watched(NamedTuple):
    """A running Prometheus, and what Alertmanager sent."""

    prometheus: Watch
    webhook: Webhook


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Prometheus and Alertmanager with what is generated, only on other ports and every second."""
    folder = tmp_path_factory.mktemp("prometheus")
    ours, alertmanager = free_port(), free_port()
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
        hold_calls(1, 0.4)
        with (
            serving(uvicorn.Config(make_asgi_app(), port=ours, log_level="warning")),
            process(
                tool("prometheus-alertmanager"), f"--config.file={folder}/alertmanager.yml",
                f"--storage.path={folder}/am", f"--web.listen-address=127.0.0.1:{alertmanager}",
                "--cluster.listen-address=", log=folder / "alertmanager.log",
            ),
            prometheus(folder) as running,
        ):  # fmt: skip
            until(lambda: running.query("voice_calls_total"), "a first scrape")
            for _ in range(5):
                hold_calls(8, 0.4)
                time.sleep(1.1)
            until(lambda: running.query('slo:error_ratio:rate5m{slo="voice-to-voice"}'), "a recorded ratio")
            yield Watched(running, webhook)
        webhook.shutdown()


def test_quantiles_agree_with_what_was_measured(watched: Watched) -> None:
    """Every turn took 0.4 s: the quantile lies within that value's bucket."""
    name = names.VOICE_TO_VOICE.metric
    (result,) = watched.prometheus.query(f"histogram_quantile(0.95, sum by (le) (rate({name}_bucket[1m])))")
    assert 0.3 < float(result["value"][1]) <= 0.4


def test_exemplars_lead_to_traces(watched: Watched) -> None:
    """Prometheus stores the trace ids that come with the histograms, and none for calls without a trace."""
    name = f"{names.VOICE_TO_VOICE.metric}_bucket"
    now = time.time()
    series = f'{name}{{version="{LABELS.version}"}}'
    found = watched.prometheus.get("query_exemplars", query=series, start=str(now - 300), end=str(now + 1))
    assert {exemplar["labels"]["trace_id"] for item in found for exemplar in item["exemplars"]} == {TRACE}


def test_a_burn_reaches_the_webhook(watched: Watched) -> None:
    """A healthy service sent nothing; then every call is slow, and the page arrives with its objective."""
    assert not [alert for alert in watched.webhook.alerts if alert["labels"].get("slo") == "voice-to-voice"]

    def paged() -> bool:
        hold_calls(20, 2.0)
        return any(
            alert["path"] == "/page" and alert["labels"]["alertname"] == "VoiceToVoiceBurnsFast"
            for alert in watched.webhook.alerts
        )

    until(paged, "a page")
    assert watched.prometheus.query('ALERTS{alertname="VoiceToVoiceBurnsFast",alertstate="firing"}')


def test_servers_that_run_are_not_reported_down(watched: Watched) -> None:
    """Up is up."""
    assert watched.prometheus.query('up{job="offhook"} == 1')
    assert not watched.prometheus.query('ALERTS{alertname="ServerDown"}')
