"""Everything that is generated from the objectives, as files."""

from pathlib import Path
from typing import Any

import yaml

from telemetry import dashboards
from telemetry.rules import alertmanager_config, prometheus_config, rule_groups
from telemetry.slo import Objectives

#: Where exemplars lead: the gateway's own page of a call, as a browser on the gateway's machine reaches it.
PAGE = "http://127.0.0.1:8080/slo"
NOTICE = "# Generated from slos.toml by `offhook slo generate`; change that, not this.\n"


def generated(objectives: Objectives) -> dict[str, str]:
    """Return every file's text, by its path below ``deploy/``."""
    files = {
        "prometheus/prometheus.yml": _yaml(prometheus_config()),
        "prometheus/rules.yml": _yaml(rule_groups(objectives)),
        "prometheus/alertmanager.yml": _yaml(alertmanager_config(objectives)),
        "grafana/provisioning/datasources/offhook.yml": _yaml(_datasources()),
        "grafana/provisioning/dashboards/offhook.yml": _yaml(_providers()),
    }
    for name, (title, panels) in dashboards.dashboards(objectives).items():
        files[f"grafana/dashboards/{name}.json"] = dashboards.as_json(name, title, panels)
    return files


def write(objectives: Objectives, folder: Path) -> list[Path]:
    """Write every file below ``folder``; return those that changed."""
    changed = []
    for name, text in generated(objectives).items():
        path = folder / name
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        changed.append(path)
    return changed


def _yaml(value: dict[str, Any]) -> str:
    return NOTICE + yaml.safe_dump(value, sort_keys=False, width=110, allow_unicode=True)


def _datasources() -> dict[str, Any]:
    source = {
        "name": "Prometheus",
        "uid": dashboards.DATASOURCE.uid,
        "type": "prometheus",
        "access": "proxy",
        "url": "http://127.0.0.1:9090",
        "isDefault": True,
        "jsonData": {
            "exemplarTraceIdDestinations": [
                {"name": "trace_id", "url": f"{PAGE}#/calls/${{__value.raw}}", "urlDisplayLabel": "the call"}
            ]
        },
    }
    return {"apiVersion": 1, "datasources": [source]}


def _providers() -> dict[str, Any]:
    provider = {
        "name": "Offhook",
        "type": "file",
        "options": {"path": "/var/lib/grafana/dashboards/offhook"},
    }
    return {"apiVersion": 1, "providers": [provider]}
