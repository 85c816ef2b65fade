// The conversation as RTVI messages tell it: partials grey, unheard words struck out, a waterfall a turn.

const FIGURES = [
  ["end_of_turn_delay", "end of turn"],
  ["transcription_delay", "transcript"],
  ["time_to_first_token", "first token"],
  ["time_to_first_sentence", "first sentence"],
  ["tts_time_to_first_audio", "first audio"],
  ["voice_to_voice", "voice to voice"],
];
const SVG = "http://www.w3.org/2000/svg";

export class Transcript {
  #log;
  #summary;
  #session;
  #you = null; // the line of what the caller is saying
  #segments = new Map(); // what the agent is saying, by segment
  #answer = null; // its line
  #turns = new Map();
  #turn = -1;
  #calls = 0;

  constructor(log, summary, session) {
    this.#log = log;
    this.#summary = summary;
    this.#session = session;
  }

  /** Take one RTVI message. */
  take({ type, data }) {
    if (type === "user-input" && data.input_type !== "chat") this.#heard(data);
    else if (type === "bot-output") this.#said(data);
    else if (type === "bot-interrupted") this.#interrupted();
    else if (type === "user-started-speaking") this.#answer = null;
    else if (type === "server-message" && data.type === "turn") this.#figures(data);
  }

  /** The call is over; what was not heard will not be. */
  close() {
    this.#interrupted();
    this.#you?.parentElement?.classList.remove("open");
    this.#you = this.#answer = null;
    this.#calls += 1;
  }

  #line(who, name) {
    const line = make("p", `line ${who}`);
    const text = make("span", "text");
    line.append(make("span", "who", name), text);
    const last = this.#log.lastElementChild;
    // An answer's figures may be here before its words; they belong under them.
    if (who === "agent" && last?.matches(".line.you + .waterfall")) last.before(line);
    else this.#log.append(line);
    this.#scroll();
    return text;
  }

  #heard({ text, final }) {
    this.#you ??= this.#line("you", "You");
    this.#you.textContent = text;
    this.#you.classList.toggle("partial", !final);
    if (final) this.#you = null;
    this.#scroll();
  }

  #said({ text, segment_id: id, spoken_progress: progress, will_be_spoken: willBeSpoken }) {
    let segment = this.#segments.get(id);
    if (!segment) {
      this.#answer ??= this.#line("agent", "Agent");
      segment = { heard: make("span", "heard"), waiting: make("span", "waiting") };
      this.#answer.append(segment.heard, segment.waiting, " ");
      this.#segments.set(id, segment);
    }
    segment.heard.textContent = progress?.accumulated_text ?? (willBeSpoken ? "" : text);
    segment.waiting.textContent = progress?.remaining_text ?? (willBeSpoken ? text : "");
    if (!segment.waiting.textContent) this.#segments.delete(id);
    this.#scroll();
  }

  #interrupted() {
    for (const { waiting } of this.#segments.values()) waiting.className = "unheard";
    this.#segments.clear();
    this.#answer = null;
  }

  #figures({ index, seconds }) {
    const key = `${this.#calls}/${index}`;
    let turn = this.#turns.get(key);
    if (!turn) {
      turn = { element: make("details", "waterfall") };
      turn.element.open = true;
      this.#turns.set(key, turn);
      this.#log.append(turn.element);
    }
    turn.seconds = seconds;
    turn.element.replaceChildren(...waterfall(seconds));
    this.#summarise();
    this.#scroll();
  }

  #summarise() {
    const rows = FIGURES.map(([key, label]) => {
      const values = [...this.#turns.values()].map(({ seconds }) => seconds[key]).filter((value) => value !== undefined);
      if (!values.length) return null;
      const row = make("tr");
      const head = make("th", "", label);
      head.scope = "row";
      row.append(head, make("td", "", milliseconds(quantile(values, 0.5))), make("td", "", milliseconds(quantile(values, 0.95))));
      return row;
    });
    this.#summary.replaceChildren(...rows.filter(Boolean));
    this.#session.hidden = false;
  }

  #scroll() {
    this.#log.lastElementChild?.scrollIntoView({ block: "nearest" });
  }
}

function waterfall(seconds) {
  const summary = make("summary", "", `answered in ${milliseconds(seconds.voice_to_voice ?? NaN)} ms`);
  const bars = make("div", "bars");
  const whole = Math.max(...FIGURES.map(([key]) => seconds[key] ?? 0)) || 1;
  FIGURES.forEach(([key, label], index) => {
    if (seconds[key] === undefined) return;
    bars.append(make("span", "", label), bar(seconds[key] / whole, index + 1), make("span", "ms", milliseconds(seconds[key])));
  });
  return [summary, bars];
}

function bar(share, part) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  svg.append(rectangle("track", 1), rectangle(`part-${part}`, share));
  return svg;
}

function rectangle(name, share) {
  const rectangle = document.createElementNS(SVG, "rect");
  rectangle.setAttribute("class", name);
  rectangle.setAttribute("width", `${(100 * share).toFixed(1)}%`);
  rectangle.setAttribute("height", "100%");
  rectangle.setAttribute("rx", "3");
  return rectangle;
}

function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

const milliseconds = (seconds) => (Number.isFinite(seconds) ? Math.round(seconds * 1000).toString() : "–");

/** The value below which `share` of `values` lie (nearest rank). */
function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
}
