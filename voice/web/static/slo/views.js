// The four views: the same questions as the Grafana dashboards answer.

import { bars, card, colour, columns, element, heat, lines, nothing, table } from "./charts.js";
import { bare, count, decimal, duration, inUnit, missing, money, ms, percent } from "./format.js";

const STAGES = ["listen", "ask", "think", "phrase", "voice", "hold", "send"];
/** What a minute costs elsewhere, until somebody enters what they pay. */
const MINUTE_PRICE = 0.05;

const text = (words) => words.replaceAll("_", " ");

function promised(slo) {
  const found = slo.objectives.find((row) => row.figure === "voice_to_voice");
  return found ? { value: found.under_seconds, name: `promised: ${ms(found.under_seconds)}` } : undefined;
}

function meter(left) {
  const inside = element("i");
  inside.style.width = `${Math.max(0, Math.min(1, left)) * 100}%`;
  return element("div", { class: left < 0 ? "meter bad" : "meter", title: percent(left, 0) }, inside);
}

function promises(slo) {
  const rows = slo.objectives.map((row) => ({
    cells: [
      row.since_start ? `${row.title} (since the gateway started)` : row.title,
      count(row.events),
      percent(row.promised, 2),
      [percent(row.good_share, 2), row.good_share === null ? "" : row.good_share >= row.promised ? "good" : "bad"],
      row.budget_left === null ? missing : element("div", {}, percent(row.budget_left, 0), meter(row.budget_left)),
      ...["1h", "6h", "3d"].map((window) => {
        const burn = row.burn[window];
        return [burn === null ? missing : `${decimal(burn, 1)}×`, burn > 1 ? "bad" : ""];
      }),
    ],
  }));
  return table([["promise"], ["events", "n"], ["promised", "n"], ["kept", "n"], ["budget left", "n"], ["burn 1 h", "n"], ["6 h", "n"], ["3 d", "n"]], rows);
}

function by(slo, group) {
  const rows = slo.callers.by[group].map((row) => ({
    cells: [row.name || missing, count(row.calls), count(row.count), bare(row.p50), bare(row.p95), bare(row.max)],
  }));
  return rows.length ? table([[group], ["calls", "n"], ["turns", "n"], ["p50 ms", "n"], ["p95", "n"], ["max", "n"]], rows) : nothing();
}

function outcomes(slo) {
  const rows = [
    ...Object.entries(slo.callers.call_outcomes).map(([name, number]) => ({ cells: ["calls", [name, name === "fault" ? "bad" : ""], count(number)] })),
    ...Object.entries(slo.callers.turn_outcomes).map(([name, number]) => ({ cells: ["turns", [name, name === "unanswered" ? "bad" : ""], count(number)] })),
  ];
  return rows.length ? table([[""], ["became"], ["", "n"]], rows) : nothing();
}

export function callers(slo) {
  const time = { since: slo.since, now: slo.now, format: bare, mark: promised(slo) };
  const curve = (share) => ({ name: share, values: slo.callers.voice_to_voice[share], colour: share });
  const worst = slo.worst.map((row) => ({
    link: `#/calls/${row.trace_id}`,
    cells: [bare(row.voice_to_voice), row.turn, row.agent, row.door, element("a", { href: `#/calls/${row.trace_id}` }, row.trace_id.slice(0, 8))],
  }));
  return [
    card(["Promises", "burn: how many times too fast the budget goes"], "", promises(slo)),
    card(["Voice to voice", "ms, by when the caller spoke"], "half", lines("Voice to voice over time", { ...time, series: ["p50", "p95", "p99"].map(curve) })),
    card(["Voice to voice, every turn", "ms; the darker, the more turns"], "half", heat("Voice to voice, every turn", { ...time, ...slo.callers.heat })),
    card("By door", "third", by(slo, "door")),
    card("By agent", "third", by(slo, "agent")),
    card("By version", "third", by(slo, "version")),
    card("What became of calls and turns", "half", outcomes(slo)),
    card("Longest waits", "half", worst.length ? table([["ms", "n"], ["turn", "n"], ["agent"], ["door"], ["call"]], worst) : nothing()),
  ];
}

export function time(slo) {
  const stages = STAGES.map((key) => ({ key, name: key, meaning: slo.time.meanings[key], colour: key }));
  const shares = ["p50", "p95"];
  const rows = shares.map((share) => ({ name: share, values: slo.time.stages[share] }));
  const over = (share) => columns(`Stages over time, ${share}`, {
    since: slo.since, now: slo.now, format: bare,
    series: stages.map(({ key }) => ({ name: key, colour: key, values: slo.time.over_time[share][key] })),
  });
  const meanings = table([["stage"], ["from, to"], ["p50 ms", "n"], ["p95", "n"]], stages.map(({ key, meaning }) => {
    const box = element("i");
    box.style.background = colour(key);
    return { cells: [element("span", { class: "legend" }, element("span", {}, box, key)), meaning, bare(slo.time.stages.p50[key]), bare(slo.time.stages.p95[key])] };
  }));
  const figures = table([["figure"], ["from, to", "desk-only"], ["turns", "n"], ["p50 ms", "n"], ["p95", "n"], ["max", "n"]], slo.time.figures.map((row) => ({
    cells: [text(row.name), row.meaning, count(row.count), bare(row.p50), bare(row.p95), bare(row.max)],
  })));
  return [
    card(["Stages of a turn", "ms; in each turn they add up to voice to voice"], "", bars("Stages of a turn", { rows, series: stages, format: bare, mark: promised(slo) })),
    card(["Over time, p50", "ms"], "half", over("p50")),
    card(["Over time, p95", "ms"], "half", over("p95")),
    card("What the stages are", "", meanings,
      element("p", { class: "note" }, "Percentiles of single stages do not add up to the percentile of their sum.")),
    card("Figures", "", figures),
  ];
}

const KINDS = { asr: "The ear", llm: "The mind", tts: "The mouth" };

function server({ kind, url, error, shown }) {
  const facts = shown.map(({ title, unit, value }) => ({ cells: [title, inUnit(value, unit)] }));
  const content = error ? element("p", { class: "bad" }, `does not answer: ${error}`)
    : facts.length ? table([["now, or since it started"], ["", "n"]], facts) : nothing("It says nothing of itself.");
  return card([KINDS[kind], url.replace(/^https?:\/\//, "")], "third", content);
}

export function engines(slo, servers) {
  const rows = slo.engines.map((row) => ({
    cells: [row.model, row.replica, count(row.answers), bare(row.first_token.p50), bare(row.first_token.p95), bare(row.inter_token.p50), bare(row.inter_token.p95),
      percent(row.cached_share, 0), count(row.output_tokens), count(row.moves), count(row.hedges)],
  }));
  const headings = [["model"], ["replica"], ["answers", "n"], ["first token p50 ms", "n"], ["p95", "n"], ["next token p50 ms", "n"], ["p95", "n"], ["prompt cached", "n"], ["tokens written", "n"], ["moves", "n"], ["hedges", "n"]];
  const gpus = slo.live.gpu_utilization;
  return [
    card(["Language models, by replica", "as they reached the gateway"], "", rows.length ? table(headings, rows) : nothing()),
    ...servers.map(server),
    card("GPUs", "third", gpus.length ? table([["GPU"], ["in use", "n"]], gpus.map((share, index) => ({ cells: [String(index), percent(share, 0)] }))) : nothing("This machine has no GPU that can be asked.")),
  ];
}

function breakEven(slo) {
  const { cost, live } = slo;
  const field = (id, words, value, step) => element("label", { for: id }, `${words} `, element("input", { id, type: "number", min: 0, step, value }));
  const answer = element("p", { id: "break-even", role: "status" });
  const price = field("minute-price", "A minute costs elsewhere", localStorage.getItem("minute-price") ?? MINUTE_PRICE, 0.001);
  const hour = field("hour-price", "an hour of this machine", localStorage.getItem("hour-price") || live.hour_price, 0.01);
  const calculate = () => {
    const [minute, machine] = [price, hour].map((labelled) => Number(labelled.querySelector("input").value));
    const margin = minute - cost.used_per_minute;
    const rate = cost.minutes ? cost.minutes / ((slo.now - slo.since) / 3600) : 0;
    answer.textContent = !(minute > 0 && machine > 0) ? "Enter both prices."
      : margin <= 0 ? `Never cheaper here: what is bought by use alone costs ${money(cost.used_per_minute, live.currency)} a minute.`
      : `Cheaper here from ${decimal(machine / margin, 1)} minutes of calls an hour; there were ${decimal(rate, 1)} an hour.`;
  };
  for (const [labelled, key] of [[price, "minute-price"], [hour, "hour-price"]]) {
    labelled.querySelector("input").addEventListener("input", (event) => {
      localStorage.setItem(key, event.target.value);
      calculate();
    });
  }
  calculate();
  return element("div", {}, element("p", {}, price, " ", live.currency), element("p", {}, hour, " ", live.currency), answer);
}

export function cost(slo) {
  const { cost: spent, live } = slo;
  const share = (part) => (spent.total ? percent(part / spent.total) : missing);
  const parts = Object.entries(spent.parts).map(([name, value]) => ({
    cells: [name === "wasted" ? "of these in answers thrown away" : name, money(value, spent.currency), share(value)],
  }));
  const agents = Object.entries(spent.by_agent).map(([name, row]) => ({
    cells: [name, count(row.calls), decimal(row.minutes, 1), money(row.total, spent.currency), money(row.per_minute, spent.currency)],
  }));
  const machines = Math.max(1, live.gpus);
  const capacity = spent.calls_at_objective.map((row) => ({ cells: [row.title, decimal(row.calls / machines, machines > 1 ? 1 : 0)] }));
  const { use } = spent;
  const used = [
    ["calls' share of the machine", duration(use.machine_seconds)],
    ["heard by the ear", duration(use.heard_seconds)],
    ["the mind worked", duration(use.llm_seconds)],
    ["of that for answers thrown away", duration(use.wasted_llm_seconds)],
    ["spoken by the mouth", duration(use.tts_seconds)],
    ["tokens read", count(use.input_tokens)],
    ["of these from the cache", count(use.cached_tokens)],
    ["tokens written", count(use.output_tokens)],
    ["tokens thrown away", count(use.wasted_tokens)],
    ["answers begun early", count(spent.speculations)],
    ["of these thrown away", count(spent.speculations_withdrawn)],
  ].map((cells) => ({ cells }));
  return [
    card("What calls cost", "third", parts.length ? table([["part"], ["cost", "n"], ["share", "n"]], [
      { cells: ["all calls", money(spent.total, spent.currency), ""] },
      { cells: ["a call", money(spent.per_call, spent.currency), ""] },
      { cells: ["a minute", money(spent.per_minute, spent.currency), ""] }, ...parts]) : nothing()),
    card("What they used", "third", table([["in this time"], ["", "n"]], used)),
    card(["Capacity", "right now"], "third", table([[""], ["", "n"]], [
      { cells: ["calls in progress", count(live.calls)] },
      { cells: ["lines left", count(live.capacity - live.calls)] },
      { cells: ["time without a call", duration(live.idle_seconds)] },
      { cells: ["tasks in the gateway", count(live.tasks)] },
      { cells: ["spans lost", [count(live.spans_dropped), live.spans_dropped ? "bad" : ""]] },
      { cells: ["processor time spent on exporting spans", duration(live.export_cpu_seconds)] },
    ].map(({ cells }) => ({ cells })))),
    card("By agent", "half", agents.length ? table([["agent"], ["calls", "n"], ["minutes", "n"], ["cost", "n"], ["a minute", "n"]], agents) : nothing()),
    card([`Calls at once that kept a promise, per ${live.gpus ? "GPU" : "machine"}`, "most that were seen"], "half",
      table([["promise"], ["calls", "n"]], capacity)),
    card("Break-even", "", breakEven(slo)),
  ];
}
