// Charts as SVG: curves, stacked columns, a heat map, stacked bars. Colours are names of the style sheet's variables.

const NS = "http://www.w3.org/2000/svg";
const LEFT = 46;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 20;
/** Ticks of a value axis, about. */
const TICKS = 5;

export const colour = (name) => `var(--${name})`;

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function shape(parent, tag, attributes, title) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (title !== undefined) {
    const text = document.createElementNS(NS, "title");
    text.textContent = title;
    made.append(text);
  }
  parent.append(made);
  return made;
}

function label(parent, x, y, text, anchor = "middle") {
  shape(parent, "text", { x, y, "text-anchor": anchor }).textContent = text;
}

/** Steps of 1, 2 or 5 times a power of ten below `most`. */
export function steps(most) {
  if (!(most > 0)) return [];
  const rough = most / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const found = [];
  for (let value = step; value <= most * 1.0001; value += step) found.push(value);
  return found;
}

/** Share of the page's width that a chart has, by its card; on a phone all of it. */
const PAGE = 1216;
const NARROW = 832;
const AROUND = 68;

function frame(title, height, share = 0.5) {
  const page = Math.min(innerWidth, PAGE);
  const width = Math.max(240, Math.round((page < NARROW ? page : page * share) - AROUND));
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", title);
  return { svg, width, height, inner: width - LEFT - RIGHT, tall: height - TOP - BOTTOM };
}

function clock(seconds, range) {
  const options = range > 2 * 86400
    ? { day: "numeric", month: "short" }
    : { hour: "2-digit", minute: "2-digit" };
  return new Date(seconds * 1000).toLocaleString(undefined, options);
}

function timeAxis({ svg, width, height, inner }, since, now) {
  for (const share of inner < NARROW / 2 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]) {
    const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
    label(svg, LEFT + share * inner, height - 4, clock(since + share * (now - since), now - since), anchor);
  }
  shape(svg, "line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: height - BOTTOM, y2: height - BOTTOM });
}

function valueAxis(place, most, format) {
  for (const value of steps(most)) {
    const y = TOP + place.tall * (1 - value / most);
    shape(place.svg, "line", { class: "axis", x1: LEFT, x2: place.width - RIGHT, y1: y, y2: y });
    label(place.svg, LEFT - 6, y + 4, format(value), "end");
  }
}

export function legend(entries) {
  const list = element("ul", { class: "legend" });
  for (const { name, colour: shade } of entries) {
    const key = element("i");
    key.style.background = colour(shade);
    list.append(element("li", {}, key, name));
  }
  return list;
}

/** Curves over time; a null leaves a gap, a point without neighbours is a dot. */
export function lines(title, { since, now, series, format, mark, height = 190 }) {
  const place = frame(title, height);
  const all = series.flatMap(({ values }) => values.filter((value) => value !== null));
  if (!all.length) return nothing();
  const most = Math.max(...all, mark?.value ?? 0) * 1.08;
  const count = series[0].values.length;
  const x = (index) => LEFT + ((index + 0.5) / count) * place.inner;
  const y = (value) => TOP + place.tall * (1 - value / most);
  valueAxis(place, most, format);
  timeAxis(place, since, now);
  if (mark) {
    shape(place.svg, "line", { class: "mark", x1: LEFT, x2: place.width - RIGHT, y1: y(mark.value), y2: y(mark.value) });
    label(place.svg, place.width - RIGHT, y(mark.value) - 4, mark.name, "end");
  }
  for (const { name, values, colour: shade } of series) {
    let path = "";
    values.forEach((value, index) => {
      if (value === null) return;
      const joined = index > 0 && values[index - 1] !== null;
      path += `${joined ? "L" : "M"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`;
    });
    shape(place.svg, "path", { class: "line", d: path, stroke: colour(shade) });
    values.forEach((value, index) => {
      if (value === null) return;
      const when = clock(since + ((index + 0.5) / count) * (now - since), now - since);
      shape(place.svg, "circle", { cx: x(index), cy: y(value), r: 2.5, fill: colour(shade) }, `${name} ${format(value)}, ${when}`);
    });
  }
  return element("figure", {}, place.svg, legend(series));
}

/** Columns over time, each a stack. */
export function columns(title, { since, now, series, format, height = 190 }) {
  const count = series[0]?.values.length ?? 0;
  const sums = Array.from({ length: count }, (_, index) => series.reduce((sum, { values }) => sum + (values[index] ?? 0), 0));
  const most = Math.max(0, ...sums) * 1.08;
  if (!most) return nothing();
  const place = frame(title, height);
  valueAxis(place, most, format);
  timeAxis(place, since, now);
  const wide = place.inner / count;
  for (let index = 0; index < count; index += 1) {
    let below = 0;
    for (const { name, values, colour: shade } of series) {
      const value = values[index] ?? 0;
      if (!value) continue;
      below += value;
      shape(place.svg, "rect", {
        x: LEFT + index * wide + wide * 0.1, width: Math.max(1, wide * 0.8),
        y: TOP + place.tall * (1 - below / most), height: (place.tall * value) / most, fill: colour(shade),
      }, `${name} ${format(value)}`);
    }
  }
  return element("figure", {}, place.svg, legend(series));
}

/** How many values fell into which bounds, over time: the darker, the more. */
export function heat(title, { since, now, bounds, counts, format, mark, height = 190 }) {
  const most = Math.max(0, ...counts.flat());
  if (!most) return nothing();
  const place = frame(title, height);
  const used = counts.map((column) => column.findLastIndex((count) => count > 0));
  const rows = Math.min(bounds.length + 1, Math.max(...used) + 2);
  const first = Math.max(0, Math.min(...counts.map((column) => column.findIndex((count) => count > 0)).filter((row) => row >= 0)) - 1);
  const tall = place.tall / (rows - first);
  const wide = place.inner / counts.length;
  timeAxis(place, since, now);
  counts.forEach((column, index) => column.slice(first, rows).forEach((count, offset) => {
    if (!count) return;
    const row = first + offset;
    const from = row ? format(bounds[row - 1]) : format(0);
    const to = row < bounds.length ? format(bounds[row]) : "more";
    shape(place.svg, "rect", {
      x: LEFT + index * wide + 0.5, width: Math.max(1, wide - 1),
      y: TOP + place.tall - (offset + 1) * tall + 0.5, height: Math.max(1, tall - 1),
      fill: `rgba(var(--heat), ${(0.2 + (0.8 * count) / most).toFixed(2)})`,
    }, `${count} from ${from} to ${to}`);
  }));
  const every = Math.ceil((rows - first) / 6);
  for (let row = first; row < rows && row < bounds.length; row += every) {
    label(place.svg, LEFT - 6, TOP + place.tall - (row - first + 1) * tall + 4, format(bounds[row]), "end");
  }
  const at = mark ? bounds.indexOf(mark.value) : -1;
  if (at >= first && at < rows) {
    const y = TOP + place.tall - (at - first + 1) * tall;
    shape(place.svg, "line", { class: "mark", x1: LEFT, x2: place.width - RIGHT, y1: y, y2: y });
    label(place.svg, place.width - RIGHT, y - 4, mark.name, "end");
  }
  return element("figure", {}, place.svg);
}

/** One stacked bar a row on a common axis. */
export function bars(title, { rows, series, format, mark }) {
  const most = Math.max(0, mark?.value ?? 0, ...rows.map(({ values }) => Object.values(values).reduce((sum, value) => sum + (value ?? 0), 0))) * 1.08;
  if (!rows.some(({ values }) => Object.values(values).some((value) => value))) return nothing();
  const tall = 34;
  const place = frame(title, TOP + rows.length * tall + BOTTOM, 1);
  const x = (value) => LEFT + (value / most) * place.inner;
  for (const value of [0, ...steps(most)]) {
    shape(place.svg, "line", { class: "axis", x1: x(value), x2: x(value), y1: TOP, y2: place.height - BOTTOM });
    label(place.svg, x(value), place.height - 4, format(value));
  }
  rows.forEach(({ name, values }, index) => {
    const y = TOP + index * tall + 6;
    label(place.svg, LEFT - 6, y + 15, name, "end");
    let from = 0;
    for (const { key, name: part, colour: shade } of series) {
      const value = values[key] ?? 0;
      if (value) shape(place.svg, "rect", { x: x(from), y, width: Math.max(0.5, x(from + value) - x(from)), height: tall - 12, fill: colour(shade) }, `${part} ${format(value)}`);
      from += value;
    }
    label(place.svg, x(from) + 6, y + 15, format(from), "start");
  });
  if (mark) shape(place.svg, "line", { class: "mark", x1: x(mark.value), x2: x(mark.value), y1: TOP, y2: place.height - BOTTOM }, mark.name);
  return element("figure", {}, place.svg, legend(series));
}

export function nothing(text = "No turns in this time.") {
  return element("p", { class: "empty" }, text);
}

/** A table: headings as [text, class], rows of cells that are texts or elements; a row's `link` is where it leads. */
export function table(headings, rows) {
  const head = element("tr", {}, ...headings.map(([text, kind]) => element("th", { scope: "col", class: kind }, text)));
  const body = rows.map(({ cells, link }) => {
    const row = element("tr", { class: link ? "link" : undefined });
    cells.forEach((cell, index) => {
      const [content, kind] = Array.isArray(cell) ? cell : [cell, undefined];
      const classes = [headings[index][1], kind].filter(Boolean).join(" ");
      row.append(element("td", { class: classes || undefined }, content ?? "–"));
    });
    if (link) row.addEventListener("click", () => { location.hash = link; });
    return row;
  });
  return element("div", { class: "scroll" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...body)));
}

export function card(title, width, ...content) {
  const [name, note] = Array.isArray(title) ? title : [title];
  const heading = element("h2", {}, name, note ? element("small", {}, ` ${note}`) : null);
  return element("section", { class: `card ${width}`, "aria-label": name }, heading, ...content);
}
