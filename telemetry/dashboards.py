"""Grafana dashboards, built with Grafana's own foundation SDK from the objectives and the metrics' names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import common as commons
from grafana_foundation_sdk.builders import dashboard, heatmap, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from telemetry import names
from telemetry.names import Figure
from telemetry.rules import recorded
from telemetry.slo import Objectives

DATASOURCE = models.DataSourceRef(type_val="prometheus", uid="offhook-prometheus")
#: Width of the grid is 24; height of a panel in grid units.
HEIGHT = 8
#: Where a query looks back, from Grafana's own step.
WINDOW = "$__rate_interval"
SELECT = '{door=~"$door",agent=~"$agent",version=~"$version"}'
#: What a minute of calls costs elsewhere, until somebody enters what they pay.
MINUTE_PRICE = "0.05"

Query = tuple[str, str]


@dataclass(frozen=True)
class Panel:
    """One panel: what it shows, its queries with their legends, and how.

    Attributes:
        title: the question it answers.
        queries: PromQL and legend.
        unit: Grafana's unit.
        width: of the grid's 24 columns.
        kind: ``lines``, ``stacked``, ``number`` or ``heatmap``.
        exemplars: whether points lead to traces.
        needs: the exporter without which it stays empty; none for our own.

    """

    title: str
    queries: Sequence[Query]
    unit: str = "s"
    width: int = 12
    kind: str = "lines"
    exemplars: bool = False
    needs: str = ""


def quantile(share: float, figure: Figure, by: str = "") -> str:
    """Return PromQL for a quantile of a figure."""
    labels = f"le, {by}" if by else "le"
    rate = f"rate({figure.metric}_bucket{SELECT}[{WINDOW}])"
    return f"histogram_quantile({share}, sum by ({labels}) ({rate}))"


def dashboards(objectives: Objectives) -> dict[str, tuple[str, list[Panel]]]:
    """Return the panels of every dashboard, by file name and title."""
    return {
        "callers": ("Callers", _callers(objectives)),
        "where-the-time-goes": ("Where the time goes", _time()),
        "engines": ("Engines", _engines()),
        "capacity-and-cost": ("Capacity and cost", _capacity()),
    }


def as_json(name: str, title: str, panels: Sequence[Panel]) -> str:
    """Return one dashboard as Grafana's JSON."""
    builder = (
        dashboard.Dashboard(f"Offhook: {title}")
        .uid(f"offhook-{name}")
        .tags(["offhook"])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .with_variable(_variable("door"))
        .with_variable(_variable("agent"))
        .with_variable(_variable("version"))
        .with_variable(_minute_price())
    )
    for panel in panels:
        builder = builder.with_panel(_build(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(builder.build()) + "\n"


def _callers(objectives: Objectives) -> list[Panel]:
    v2v = names.VOICE_TO_VOICE
    numbers = [
        Panel(
            objective.title,
            [(f'slo:budget_left:ratio{{slo="{objective.name}"}}', "budget left")],
            "percentunit",
            4,
            "number",
        )
        for objective in objectives.all()
    ]
    burn = [
        (f'{recorded("1h")}{{slo="{objective.name}"}} / {objective.budget:.6g}', objective.name)
        for objective in objectives.all()
    ]
    shares = [(quantile(share, v2v), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99)]
    return [
        *numbers,
        Panel("How fast budgets burn (1: exactly used up in the window)", burn, "none"),
        Panel("Voice to voice", shares, exemplars=True),
        Panel(
            "Voice to voice, every turn",
            [(f"sum by (le) (increase({v2v.metric}_bucket{SELECT}[{WINDOW}]))", "{{le}}")],
            kind="heatmap",
            exemplars=True,
        ),
        Panel("Voice to voice p95 by door", [(quantile(0.95, v2v, "door"), "{{door}}")]),
        Panel(
            "Voice to voice p95 by agent", [(quantile(0.95, v2v, "agent, version"), "{{agent}} {{version}}")]
        ),
        Panel(
            "Turns a minute, by what became of them",
            [(f"sum by (outcome) (rate(voice_turns_total{SELECT}[{WINDOW}])) * 60", "{{outcome}}")],
            "none",
            kind="stacked",
        ),
        Panel(
            "Calls ended a minute, by outcome",
            [(f"sum by (outcome) (rate(voice_calls_total{SELECT}[{WINDOW}])) * 60", "{{outcome}}")],
            "none",
            kind="stacked",
        ),
        Panel(
            "How fast the agent falls silent",
            [(quantile(share, names.BARGE_IN_STOP), f"p{share * 100:g}") for share in (0.5, 0.95)],
        ),
    ]


def _time() -> list[Panel]:
    stage = f"{names.STAGE_METRIC}_bucket{SELECT}[{WINDOW}]"
    parts = [f"{names.STAGE_METRIC}_{part}{SELECT}[{WINDOW}]" for part in ("sum", "count")]
    panels = [
        Panel(
            f"Stages of a turn, p{share * 100:g}",
            [(f"histogram_quantile({share}, sum by (le, stage) (rate({stage})))", "{{stage}}")],
            kind="stacked",
            exemplars=True,
        )
        for share in (0.5, 0.95)
    ]
    mean = f"sum by (stage) (rate({parts[0]})) / sum by (stage) (rate({parts[1]}))"
    panels.append(Panel("Stages of a turn, mean: these add up", [(mean, "{{stage}}")], kind="stacked"))
    panels += [
        Panel(
            f"{figure.meaning[0].upper()}{figure.meaning[1:]}",
            [(quantile(share, figure), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99)],
            exemplars=True,
        )
        for figure in names.FIGURES
        if figure is not names.BARGE_IN_STOP
    ]
    return panels


def _engines() -> list[Panel]:
    token = names.TIME_TO_FIRST_TOKEN
    between = f"rate(voice_inter_token_seconds_bucket{SELECT}[{WINDOW}])"
    cached = f'sum(rate(voice_tokens_total{{kind="cached"}}[{WINDOW}]))'
    read = f'sum(rate(voice_tokens_total{{kind="input"}}[{WINDOW}]))'
    accepted = _either("spec_decode_num_accepted_tokens_total")
    drafts = _either("spec_decode_num_drafts_total")
    phrases = f"sum by (result) (rate(tts_server_phrase_cache_total[{WINDOW}]))"
    waits = f"sum by (le, priority) (rate(asr_wait_seconds_bucket[{WINDOW}]))"
    batch = [f"sum by (instance) (rate(asr_batch_size_{part}[{WINDOW}]))" for part in ("sum", "count")]
    return [
        Panel(
            "First token p95 by replica",
            [(quantile(0.95, token, "model, replica"), "{{model}} {{replica}}")],
            exemplars=True,
        ),
        Panel(
            "Between two tokens, p95 by replica",
            [(f"histogram_quantile(0.95, sum by (le, model, replica) ({between}))", "{{model}} {{replica}}")],
        ),
        Panel(
            "Requests waiting in the engines",
            [(_gauge("num_requests_waiting", "requests_deferred"), "{{instance}}")],
            "none",
        ),
        Panel(
            "Requests in the engines' batches",
            [(_gauge("num_requests_running", "requests_processing"), "{{instance}}")],
            "none",
        ),
        Panel("Prompt tokens from the cache", [(f"{cached} / ({read} > 0)", "share")], "percentunit"),
        Panel(
            "Tokens a draft is worth (1: nothing is drafted)",
            [
                (
                    f"1 + sum by (instance) ({accepted}) / clamp_min(sum by (instance) ({drafts}), 1e-9)",
                    "{{instance}}",
                )
            ],
            "none",
        ),
        Panel(
            "KV cache in use",
            [("max by (instance) (vllm:kv_cache_usage_perc)", "{{instance}}")],
            "percentunit",
            needs="vLLM",
        ),
        Panel(
            "Answers moved to another engine, second engines asked",
            [
                (f"sum(rate(voice_failovers_total[{WINDOW}])) * 60", "moved, a minute"),
                (f"sum(rate(voice_hedges_total[{WINDOW}])) * 60", "hedged, a minute"),
            ],
            "none",
        ),
        Panel(
            "The ear: p95 of a decode's wait for its turn",
            [(f"histogram_quantile(0.95, {waits})", "{{priority}}")],
        ),
        Panel(
            "The ear: streams, and decodes in a batch",
            [
                ("sum by (instance) (asr_streams)", "streams {{instance}}"),
                (f"{batch[0]} / ({batch[1]} > 0)", "decodes a batch {{instance}}"),
            ],
            "none",
        ),
        Panel(
            "The mouth: steps that wait, streams",
            [
                ("sum by (instance) (tts_server_waiting_steps)", "waiting {{instance}}"),
                ("sum by (instance) (tts_server_contexts)", "streams {{instance}}"),
            ],
            "none",
        ),
        Panel("The mouth: phrases looked up in the cache, a second", [(phrases, "{{result}}")], "none"),
        Panel("GPUs the gateway's machine has", [("sum(gpu_devices)", "GPUs")], "none", 6, "number"),
        Panel(
            "GPU in use",
            [("avg by (instance, gpu) (gpu_utilization_ratio)", "{{instance}} {{gpu}}")],
            "percentunit",
            9,
            needs="a GPU",
        ),
        Panel(
            "GPU memory in use",
            [
                (
                    "avg by (instance, gpu) (gpu_memory_used_bytes / gpu_memory_total_bytes)",
                    "{{instance}} {{gpu}}",
                )
            ],
            "percentunit",
            9,
            needs="a GPU",
        ),
    ]


def _either(counter: str) -> str:
    """Return PromQL for the rate of a counter that vLLM and llama.cpp name alike."""
    return f'rate({{__name__=~"(vllm|llamacpp):{counter}"}}[{WINDOW}])'


def _gauge(vllm: str, llamacpp: str) -> str:
    """Return PromQL for a gauge that vLLM and llama.cpp name differently."""
    return f'sum by (instance) ({{__name__=~"vllm:{vllm}|llamacpp:{llamacpp}"}})'


def _capacity() -> list[Panel]:
    part = SELECT.replace("{", '{part!="wasted",')
    cost = f"sum(rate(voice_cost_total{part}[{WINDOW}]))"
    minutes = f"sum(rate(voice_call_seconds_total{SELECT}[{WINDOW}])) / 60"
    by_agent = (
        f"sum by (agent) (rate(voice_cost_total{part}[{WINDOW}]))"
        f" / (sum by (agent) (rate(voice_call_seconds_total{SELECT}[{WINDOW}])) / 60 > 0)"
    )
    spent = {
        wanted: f'sum(rate(voice_cost_total{{part=~"{wanted}"}}[{WINDOW}]))'
        for wanted in ("wasted", "machine|asr|llm|tts", "asr|llm|tts")
    }
    used_a_minute = f"{spent['asr|llm|tts']} / (sum(rate(voice_call_seconds_total[{WINDOW}])) / 60 > 0)"
    break_even = f"max(voice_machine_hour_price) / ($minute_price - ({used_a_minute} or vector(0)) > 0)"
    outcome = f"sum by (outcome) (rate(voice_speculations_total{SELECT}[{WINDOW}])) * 60"
    return [
        Panel(
            "Calls in progress", [("sum by (door) (voice_calls_active)", "{{door}}")], "none", kind="stacked"
        ),
        Panel(
            "Lines left",
            [("sum(voice_calls_capacity) - (sum(voice_calls_active) or vector(0))", "lines")],
            "none",
            4,
            "number",
        ),
        Panel(
            "Most calls at once, so far",
            [("max_over_time(sum(voice_calls_active)[$__range:15s])", "calls")],
            "none",
            4,
            "number",
        ),
        Panel(
            "Tasks in the gateway", [("sum by (instance) (voice_gateway_tasks)", "{{instance}}")], "none", 4
        ),
        Panel(
            "Callers turned away, a minute",
            [(f"sum by (cause) (rate(voice_refusals_total[{WINDOW}])) * 60 or vector(0)", "{{cause}}")],
            "none",
        ),
        Panel(
            "Cost of a minute",
            [(f"{cost} / ({minutes} > 0)", "all calls"), (by_agent, "{{agent}}")],
            "none",
        ),
        Panel(
            "Minutes of calls an hour, and from how many this machine is cheaper than $minute_price a minute",
            [
                ("sum(rate(voice_call_seconds_total[1h])) * 60", "minutes an hour"),
                (break_even, "break-even"),
            ],
            "none",
        ),
        Panel(
            "Share of the cost that went into answers thrown away",
            [(f"{spent['wasted']} / ({spent['machine|asr|llm|tts']} > 0)", "share")],
            "percentunit",
        ),
        Panel("Answers begun early, a minute", [(outcome, "{{outcome}}")], "none", kind="stacked"),
        Panel(
            "Tokens a second",
            [(f"sum by (kind) (rate(voice_tokens_total{SELECT}[{WINDOW}]))", "{{kind}}")],
            "none",
        ),
        Panel(
            "Seconds the stages worked, per second",
            [(f"sum by (stage) (rate(voice_engine_seconds_total{SELECT}[{WINDOW}]))", "{{stage}}")],
            "none",
        ),
        Panel("Time without a call", [("max by (instance) (voice_machine_idle_seconds)", "{{instance}}")]),
        Panel(
            "What watching costs: processor seconds a second spent on exporting",
            [
                (
                    f"sum by (server, destination) (rate(telemetry_export_cpu_seconds_total[{WINDOW}]))",
                    "{{server}} {{destination}}",
                )
            ],
        ),
        Panel(
            "Spans lost a minute",
            [
                (
                    f"sum by (destination) (rate(telemetry_spans_dropped_total[{WINDOW}])) * 60 or vector(0)",
                    "{{destination}}",
                )
            ],
            "none",
        ),
    ]


def _build(panel: Panel) -> Any:
    built: Any = {"number": stat.Panel, "heatmap": heatmap.Panel}.get(panel.kind, timeseries.Panel)()
    built = built.title(panel.title).unit(panel.unit).datasource(DATASOURCE).height(HEIGHT).span(panel.width)
    if panel.needs:
        built = built.description(f"Empty without {panel.needs}.")
    if panel.kind == "stacked":
        built = built.stacking(commons.StackingConfig().mode(common.StackingMode.NORMAL)).fill_opacity(30)
    for number, (expr, legend) in enumerate(panel.queries):
        query = prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(chr(ord("A") + number))
        if panel.kind == "heatmap":
            query = query.format(PromQueryFormat.HEATMAP)
        built = built.with_target(query.exemplar(panel.exemplars))
    return built


def _variable(name: str) -> Any:
    return (
        dashboard.QueryVariable(name)
        .label(name)
        .query(f"label_values(voice_calls_active, {name})")
        .datasource(DATASOURCE)
        .include_all(True)
        .all_value(".*")
        .multi(True)
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _minute_price() -> Any:
    return (
        dashboard.TextBoxVariable("minute_price")
        .label("price of a minute elsewhere")
        .default_value(MINUTE_PRICE)
    )
