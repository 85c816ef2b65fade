"""Prometheus rules, Alertmanager routes and scrape configuration, generated from the objectives.

Multi-window, multi-burn-rate alerts as in Google's SRE workbook, chapter 5: an alert needs a long window, which
says that it matters, and a short one, which says that it still goes on.
"""

from dataclasses import dataclass
from typing import Any

from telemetry.slo import HOURS_PER_DAY, Objective, Objectives

#: How often rules are evaluated and servers scraped, seconds.
INTERVAL_SECONDS = 15
#: Ports of a stack on one machine.
SERVERS = {"gateway": 8080, "asr": 8081, "tts": 8082, "llm": 8083}


@dataclass(frozen=True)
class Burn:
    """One pair of windows; it alerts when ``budget`` of the whole budget goes in ``hours``.

    Attributes:
        suffix: of the alert's name.
        long: the long window, as Prometheus writes it.
        short: the short one.
        hours: length of the long one.
        budget: share of the budget.
        severity: ``page`` or ``ticket``.

    """

    suffix: str
    long: str
    short: str
    hours: float
    budget: float
    severity: str

    def factor(self, objective: Objective) -> float:
        """Return how many times too fast the budget goes: 1 spends it exactly in the window."""
        return self.budget * objective.window_days * HOURS_PER_DAY / self.hours


BURNS = (
    Burn("BurnsFast", "1h", "5m", 1, 0.02, "page"),
    Burn("BurnsSteadily", "6h", "30m", 6, 0.05, "page"),
    Burn("BurnsSlowly", "3d", "6h", 72, 0.10, "ticket"),
)
WINDOWS = ("5m", "30m", "1h", "6h", "3d")


def recorded(window: str) -> str:
    """Return the name under which the error ratio over ``window`` is recorded."""
    return f"slo:error_ratio:rate{window}"


def alert_name(objective: Objective, burn: Burn) -> str:
    """Return the alert's name, such as ``VoiceToVoiceBurnsFast``."""
    return "".join(part.capitalize() for part in objective.name.split("-")) + burn.suffix


def rule_groups(objectives: Objectives) -> dict[str, Any]:
    """Return the rule file."""
    groups = [
        {"name": f"slo-{objective.name}", "rules": [*_recordings(objective), *_alerts(objective)]}
        for objective in objectives.all()
    ]
    return {"groups": [*groups, {"name": "servers", "rules": _server_alerts()}]}


def _recordings(objective: Objective) -> list[dict[str, Any]]:
    windows = (*WINDOWS, f"{objective.window_days}d")
    rules = [
        {"record": recorded(window), "expr": objective.error_ratio(window), "labels": {"slo": objective.name}}
        for window in windows
    ]
    budget_left = f'1 - {recorded(windows[-1])}{{slo="{objective.name}"}} / {objective.budget:.6g}'
    labels = {"slo": objective.name}
    return [*rules, {"record": "slo:budget_left:ratio", "expr": budget_left, "labels": labels}]


def _alerts(objective: Objective) -> list[dict[str, Any]]:
    return [_alert(objective, burn) for burn in BURNS]


def _alert(objective: Objective, burn: Burn) -> dict[str, Any]:
    limit = f"{burn.factor(objective) * objective.budget:.6g}"
    select = f'{{slo="{objective.name}"}}'
    seconds = round(burn.hours * 3600)
    return {
        "alert": alert_name(objective, burn),
        "expr": (
            f"{recorded(burn.long)}{select} > {limit} and {recorded(burn.short)}{select} > {limit} "
            f"and on() ({objective.total(burn.long)}) * {seconds} >= {objective.min_events}"
        ),
        "labels": {"severity": burn.severity, "slo": objective.name},
        "annotations": {
            "summary": f"{objective.title}: the budget goes {burn.factor(objective):.3g} times too fast",
            "description": (
                f"{{{{ $value | humanizePercentage }}}} of events over {burn.long} were bad; "
                f"{objective.budget * 100:.4g} % may be over {objective.window_days} days. "
                "See the dashboard Callers, or `offhook slo report` for the worst calls."
            ),
        },
    }


def _server_alerts() -> list[dict[str, Any]]:
    return [
        {
            "alert": "ServerDown",
            "expr": 'up{job="offhook"} == 0',
            "for": "1m",
            "labels": {"severity": "page"},
            "annotations": {"summary": "{{ $labels.server }} at {{ $labels.instance }} does not answer"},
        },
        {
            "alert": "NoCapacityLeft",
            "expr": "sum(voice_calls_active) >= sum(voice_calls_capacity)",
            "for": "2m",
            "labels": {"severity": "page"},
            "annotations": {"summary": "Every line is busy; callers are turned away"},
        },
        {
            "alert": "SpansDropped",
            "expr": "sum by (destination) (rate(telemetry_spans_dropped_total[10m])) > 0",
            "for": "10m",
            "labels": {"severity": "ticket"},
            "annotations": {"summary": "Traces are lost on their way to {{ $labels.destination }}"},
        },
    ]


def alertmanager_config(objectives: Objectives) -> dict[str, Any]:
    """Return Alertmanager's configuration: pages and tickets go their own ways, a page silences its ticket."""
    alerting = objectives.alerting
    return {
        "route": {
            "receiver": "ticket",
            "group_by": ["slo", "alertname"],
            "group_wait": "10s",
            "group_interval": "5m",
            "repeat_interval": "4h",
            "routes": [{"matchers": ['severity="page"'], "receiver": "page", "repeat_interval": "1h"}],
        },
        "receivers": [
            {"name": "page", "webhook_configs": [{"url": alerting.page_webhook}]},
            {"name": "ticket", "webhook_configs": [{"url": alerting.ticket_webhook}]},
        ],
        "inhibit_rules": [
            {
                "source_matchers": ['severity="page"'],
                "target_matchers": ['severity="ticket"'],
                "equal": ["slo"],
            }
        ],
    }


def prometheus_config() -> dict[str, Any]:
    """Return Prometheus's configuration for a stack on one machine.

    Run it with ``--enable-feature=exemplar-storage``, so that panels lead to traces.
    """
    targets = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"server": server}} for server, port in SERVERS.items()
    ]
    return {
        "global": {
            "scrape_interval": f"{INTERVAL_SECONDS}s",
            "evaluation_interval": f"{INTERVAL_SECONDS}s",
        },
        "rule_files": ["rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["127.0.0.1:9093"]}]}]},
        "scrape_configs": [{"job_name": "offhook", "static_configs": targets}],
    }
