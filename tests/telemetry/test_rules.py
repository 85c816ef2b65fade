"""The generated rules, judged by Prometheus's own tools: every alert fires when it should, and only then."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.utils import floatToGoString

from telemetry.rules import BURNS, Burn, alert_name
from telemetry.slo import Objective, load_objectives
from tests.telemetry.conftest import REPOSITORY, tool

FOLDER = REPOSITORY / "deploy" / "prometheus"
RULES = yaml.safe_load((FOLDER / "rules.yml").read_text())
#: Minutes between two samples, by the pair of windows: a few in the short one.
STEPS = {"BurnsFast": 1, "BurnsSteadily": 6, "BurnsSlowly": 60}
OBJECTIVES = {objective.name: objective for objective in load_objectives().all()}


def run(*command: str, cwd: Path = FOLDER) -> None:
    """Run a tool; fail with what it says."""
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_prometheus_accepts_configuration_and_rules() -> None:
    """`promtool check` of what is checked in."""
    run(tool("promtool"), "check", "config", "prometheus.yml")
    run(tool("promtool"), "check", "rules", "rules.yml")


def test_alertmanager_accepts_its_configuration() -> None:
    """`amtool check-config`, and both severities go where they should."""
    run(tool("amtool"), "check-config", "alertmanager.yml")
    for severity in ("page", "ticket"):
        command = [tool("amtool"), "config", "routes", "test", "--config.file=alertmanager.yml"]
        result = subprocess.run(
            [*command, f"severity={severity}"], cwd=FOLDER, capture_output=True, text=True, check=True
        )
        assert result.stdout.strip() == severity


def series(objective: Objective, good: float, bad: float, steps: int) -> list[dict[str, str]]:
    """Return the input of a test: so many good and bad events a step, for so many steps."""

    def counter(name: str, each: float) -> dict[str, str]:
        return {"series": name, "values": f"0+{each:g}x{steps}"}

    if objective.measured:
        name, bound = objective.measured.metric, floatToGoString(objective.under_seconds)
        return [counter(f"{name}_count", good + bad), counter(f'{name}_bucket{{le="{bound}"}}', good)]
    if objective.events == "calls_answered":
        refusals = counter('voice_refusals_total{cause="at_capacity",door="twilio"}', bad)
        return [counter('voice_calls_total{outcome="completed"}', good), refusals]
    return [
        counter('voice_calls_total{outcome="completed"}', good),
        counter('voice_calls_total{outcome="fault"}', bad),
    ]


def promtool_test(tmp_path: Path, cases: list[dict[str, Any]], *, group: str, step: str = "1m") -> None:
    """Run unit tests of one group of rules, evaluated every ``step``."""
    groups = [found for found in RULES["groups"] if found["name"] == group]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": groups}))
    document = {"rule_files": ["rules.yml"], "evaluation_interval": step, "tests": cases}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document))
    run(tool("promtool"), "test", "rules", "test.yml", cwd=tmp_path)


def case(
    objective: Objective, burn: Burn, bad_share: float, *, fires: bool, each: float = 100.0
) -> dict[str, Any]:
    """Return one test case: a share of bad events of ``each`` a step, and whether the alert fires in the end."""
    name, step = alert_name(objective, burn), STEPS[burn.suffix]
    steps = round(min(burn.hours, 24) * 60 / step) + 10
    (rule,) = [rule for group in RULES["groups"] for rule in group["rules"] if rule.get("alert") == name]
    notes = {
        key: text.replace("{{ $value | humanizePercentage }}", f"{bad_share * 100:.4g}%")
        for key, text in rule["annotations"].items()
    }
    expected = [{"exp_labels": rule["labels"], "exp_annotations": notes}] if fires else []
    return {
        "interval": f"{step}m",
        "input_series": series(objective, each - each * bad_share, each * bad_share, steps),
        "alert_rule_test": [
            {"eval_time": f"{(steps - 1) * step}m", "alertname": name, "exp_alerts": expected}
        ],
    }


@pytest.mark.parametrize("burn", BURNS, ids=lambda burn: burn.suffix)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_alert_fires_and_stays_quiet(name: str, burn: Burn, tmp_path: Path) -> None:
    """A burn of twice the limit fires; half of the limit, nothing bad, too few events and no events do not."""
    objective = OBJECTIVES[name]
    limit = burn.factor(objective) * objective.budget
    few = objective.min_events / 2 / (burn.hours * 60) * STEPS[burn.suffix]
    cases = [
        case(objective, burn, min(1.0, 2 * limit), fires=True),
        case(objective, burn, limit / 2, fires=False),
        case(objective, burn, 0.0, fires=False),
        case(objective, burn, 1.0, fires=False, each=few),
        case(objective, burn, 0.0, fires=False, each=0.0),
    ]
    promtool_test(tmp_path, cases, group=f"slo-{name}", step=f"{STEPS[burn.suffix]}m")


def test_a_burn_that_is_over_stops_alerting(tmp_path: Path) -> None:
    """The long window is still bad, the short one is not: the page is resolved."""
    objective = OBJECTIVES["voice-to-voice"]
    name = objective.measured.metric if objective.measured else ""
    inputs = [
        {"series": f"{name}_count", "values": "0+100x90"},
        {"series": f'{name}_bucket{{le="0.8"}}', "values": "0+0x50 0+100x40"},
    ]
    check = {"eval_time": "60m", "alertname": alert_name(objective, BURNS[0]), "exp_alerts": []}
    promtool_test(
        tmp_path,
        [{"interval": "1m", "input_series": inputs, "alert_rule_test": [check]}],
        group="slo-voice-to-voice",
    )


def test_servers_and_capacity(tmp_path: Path) -> None:
    """A server that is down, no line left, and lost spans each have their alert; all well is quiet."""

    def alerts(series: dict[str, str], name: str, labels: dict[str, str] | None, summary: str) -> dict:
        expected = [{"exp_labels": labels, "exp_annotations": {"summary": summary}}] if labels else []
        return {
            "interval": "1m",
            "input_series": [{"series": key, "values": values} for key, values in series.items()],
            "alert_rule_test": [{"eval_time": "25m", "alertname": name, "exp_alerts": expected}],
        }

    up = 'up{job="offhook",instance="127.0.0.1:8081",server="asr"}'
    down = {"severity": "page", "job": "offhook", "instance": "127.0.0.1:8081", "server": "asr"}
    full = {"voice_calls_active": "32x30", "voice_calls_capacity": "32x30"}
    lost = {'telemetry_spans_dropped_total{destination="otlp",reason="queue full"}': "0+5x30"}
    promtool_test(
        tmp_path,
        [
            alerts({up: "0x30"}, "ServerDown", down, "asr at 127.0.0.1:8081 does not answer"),
            alerts({up: "1x30"}, "ServerDown", None, ""),
            alerts(full, "NoCapacityLeft", {"severity": "page"}, "Every line is busy; callers are turned away"),
            alerts({**full, "voice_calls_active": "31x30"}, "NoCapacityLeft", None, ""),
            alerts(dict.fromkeys(lost, "5x30"), "SpansDropped", None, ""),
            alerts(
                lost, "SpansDropped", {"severity": "ticket", "destination": "otlp"},
                "Traces are lost on their way to otlp",
            ),
        ],
        group="servers",
    )  # fmt: skip


def test_dashboards_are_whole() -> None:
    """Four dashboards; every panel has a title, a query and the data source; ids are unique."""
    files = sorted((REPOSITORY / "deploy" / "grafana" / "dashboards").glob("*.json"))
    assert len(files) == 4
    for file in files:
        panels = json.loads(file.read_text())["panels"]
        assert len({json.dumps(panel["gridPos"]) for panel in panels}) == len(panels)
        for panel in panels:
            assert panel["title"]
            assert panel["datasource"]["uid"] == "offhook-prometheus"
            assert all(target["expr"] for target in panel["targets"])
