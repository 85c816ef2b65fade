// The list of calls, and the page of one: its waterfall on a time axis, and what was said if that is recorded.

import { card, element, nothing, steps, table } from "./charts.js";
import { bare, count, duration, missing, money, when } from "./format.js";

const TROUBLE = new Set(["voice.barge_in", "voice.failover", "voice.hedge", "voice.speculation_withdrawn"]);
const text = (name) => name.replace(/^voice\./, "").replaceAll("_", " ");

export function list(calls) {
  const rows = calls.map((call) => ({
    link: `#/calls/${call.trace_id}`,
    cells: [
      element("a", { href: `#/calls/${call.trace_id}` }, when(call.began)),
      duration(call.seconds), call.door, `${call.agent ?? missing} ${call.version ?? ""}`, count(call.turns), bare(call.p50), bare(call.p95),
      money(call.cost, call.currency), [call.ended, call.outcome === "fault" ? "bad" : ""],
    ],
  }));
  const headings = [["began"], ["length", "n"], ["door"], ["agent"], ["turns", "n"], ["p50 ms", "n"], ["p95", "n"], ["cost", "n"], ["ended"]];
  return [card(["Calls", `the last ${rows.length}`], "", rows.length ? table(headings, rows) : nothing("No calls yet."))];
}

function facts(entries) {
  const made = element("dl", { class: "facts" });
  for (const [name, value] of entries) made.append(element("div", {}, element("dt", {}, name), element("dd", {}, value)));
  return made;
}

function axis(length) {
  const track = element("div", { class: "track" });
  for (const at of [0, ...steps(length)]) {
    const mark = element("span", {}, length < 10 ? `${Math.round(at * 1000)} ms` : `${at} s`);
    mark.style.left = `${(100 * at) / length}%`;
    track.append(mark);
  }
  return element("div", { class: "row axis", "aria-hidden": "true" }, element("span"), element("span"), track);
}

function row(span, length) {
  const kind = span.name === "execute_tool" ? "tool" : span.name.split(".")[0];
  const took = span.end - span.start;
  const events = span.events.map((event) => `${text(event.name)} +${bare(event.at - span.start)}`).join(", ");
  const says = `${span.name}: ${bare(took)} ms${span.error ? `, ${span.error}` : ""}${events ? `; ${events}` : ""}`;
  const bar = element("div", { class: `bar ${kind}${span.error ? " failed" : ""}`, title: says });
  bar.style.left = `${(100 * span.start) / length}%`;
  bar.style.width = `${(100 * took) / length}%`;
  const track = element("div", { class: "track" }, bar);
  for (const event of span.events) {
    const mark = element("div", { class: TROUBLE.has(event.name) ? "event trouble" : "event", title: `${text(event.name)} at ${bare(event.at)} ms` });
    mark.style.left = `${Math.min(100, Math.max(0, (100 * event.at) / length))}%`;
    track.append(mark);
  }
  const detail = Object.entries(span.attributes).map(([name, value]) => `${name} = ${value}`).join("\n");
  const name = element("span", { class: "name", title: detail }, `${"  ".repeat(span.depth)}${span.name} `, element("small", {}, span.service));
  return element("div", { class: "row", role: "listitem", "aria-label": says }, name, element("span", { class: "ms" }, bare(took)), track);
}

function waterfall(spans) {
  const length = Math.max(...spans.map((span) => span.end), 1e-6);
  const made = element("div", { class: "fall", role: "list" }, axis(length), ...spans.map((span) => row(span, length)));
  const [first] = steps(length);
  made.style.setProperty("--tick", `${(100 * first) / length}%`);
  return element("div", { class: "scroll" }, made);
}

function transcript(trace) {
  if (!trace.transcript.length) {
    return nothing(trace.records_content
      ? "This call began before what is said was recorded."
      : "What is said is not recorded; [telemetry] record_content turns that on.");
  }
  const made = element("dl", { class: "transcript" });
  for (const line of trace.transcript) made.append(element("dt", {}, line.who), element("dd", {}, line.text));
  return made;
}

function turns(spans) {
  const found = spans.filter((span) => span.name === "turn" && span.attributes["voice.turn.outcome"]);
  const figures = ["end_of_turn_delay", "transcription_delay", "time_to_first_token", "time_to_first_sentence", "tts_time_to_first_audio", "voice_to_voice"];
  const rows = found.map((span) => ({
    cells: [String(span.attributes["voice.turn.index"]), ...figures.map((figure) => bare(span.attributes[`voice.${figure}`])), span.attributes["voice.turn.outcome"]],
  }));
  return rows.length ? table([["turn", "n"], ...figures.map((figure) => [text(figure), "n"]), ["became"]], rows) : nothing("No turn in this call.");
}

export function page(trace) {
  const { call } = trace;
  const about = call ? facts([
    ["began", when(call.began)], ["length", duration(call.seconds)], ["door", call.door ?? missing],
    ["agent", `${call.agent ?? missing} ${call.version ?? ""}`], ["turns", count(call.turns)],
    ["voice to voice p50, p95", `${bare(call.p50)}, ${bare(call.p95)} ms`], ["cost", money(call.cost, call.currency)],
    ["ended", call.ended ?? missing], ["call", call.call_id ?? missing], ["trace", trace.trace_id],
  ]) : facts([["trace", trace.trace_id], ["the call", "is still going on, or its span was lost"]]);
  return [
    card("Call", "", about),
    card(["Waterfall", "every stage on one time axis; marks are events, red ones trouble"], "", waterfall(trace.spans)),
    card(["Turns", "ms"], "", turns(trace.spans)),
    card(["What was said", trace.transcript.length ? "personal data taken out" : ""], "", transcript(trace)),
  ];
}
