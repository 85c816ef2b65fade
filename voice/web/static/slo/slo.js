// The page: which view, over which time, and every few seconds anew.

import { list, page } from "./call.js";
import { element } from "./charts.js";
import { count, missing, money, ms, percent } from "./format.js";
import { callers, cost, engines, time } from "./views.js";

/** How often the page asks again, milliseconds; not while nobody looks, nor while a field is being filled in. */
const EVERY = 5000;

const byId = (id) => document.getElementById(id);
const hours = byId("hours");

async function get(path) {
  const response = await fetch(path);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error || `${response.status} ${response.statusText}`);
  return body;
}

const standing = () => get(`api/slo?hours=${hours.value}`);

const VIEWS = {
  callers: async () => { const slo = await standing(); return { slo, content: callers(slo) }; },
  time: async () => { const slo = await standing(); return { slo, content: time(slo) }; },
  engines: async () => {
    const [slo, servers] = await Promise.all([standing(), get("api/slo/engines")]);
    return { slo, content: engines(slo, servers) };
  },
  cost: async () => { const slo = await standing(); return { slo, content: cost(slo) }; },
  calls: async (trace) => {
    const [slo, found] = await Promise.all([standing(), trace ? get(`api/slo/traces/${encodeURIComponent(trace)}`) : get("api/slo/calls")]);
    return { slo, content: trace ? page(found) : list(found) };
  },
};

function tiles(slo) {
  const { live, figures } = slo;
  const waited = figures.voice_to_voice;
  const promise = slo.objectives.find((row) => row.figure === "voice_to_voice");
  const left = promise?.budget_left ?? null;
  const shown = [
    ["calls in progress", `${count(live.calls)} of ${count(live.capacity)}`],
    ["voice to voice p50", waited ? ms(waited.p50) : missing],
    ["voice to voice p95", waited ? ms(waited.p95) : missing, promise && waited && waited.p95 > promise.under_seconds ? "bad" : ""],
    ["budget left", left === null ? missing : percent(left, 0), left < 0 ? "bad" : ""],
    ["calls, turns", `${count(slo.calls)}, ${count(slo.turns)}`],
    ["a minute costs", money(slo.cost.per_minute, slo.cost.currency)],
  ];
  byId("tiles").replaceChildren(...shown.map(([name, value, kind]) =>
    element("div", {}, element("dt", {}, name), element("dd", { class: kind || undefined }, value))));
}

function route() {
  const [, view, trace] = location.hash.split("/");
  return VIEWS[view] ? { view, trace } : { view: "callers", trace: undefined };
}

let shownFor = "";
let redraw;

async function refresh() {
  const { view, trace } = route();
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#/${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const wanted = location.hash;
  try {
    const { slo, content } = await VIEWS[view](trace);
    if (location.hash !== wanted) return;
    tiles(slo);
    byId("view").replaceChildren(...content);
    byId("view").dataset.view = view;
    byId("problem").hidden = true;
    byId("updated").textContent = `As of ${new Date(slo.now * 1000).toLocaleTimeString()}; from the traces of this machine.`;
    if (shownFor !== wanted) scrollTo(0, 0);
    shownFor = wanted;
  } catch (error) {
    byId("problem").textContent = `This cannot be shown: ${error.message}`;
    byId("problem").hidden = false;
  }
}

const reading = () => byId("view").contains(document.activeElement) && document.activeElement.matches("input");

addEventListener("hashchange", refresh);
hours.addEventListener("change", refresh);
addEventListener("resize", () => { clearTimeout(redraw); redraw = setTimeout(refresh, 200); });
refresh();
setInterval(() => { if (!document.hidden && !reading() && !route().trace) refresh(); }, EVERY);
