// Numbers for readers.

export const missing = "–";
const some = (value) => value !== null && value !== undefined && Number.isFinite(value);

export const ms = (seconds) => (some(seconds) ? `${Math.round(seconds * 1000)} ms` : missing);
/** Milliseconds without the unit, with a digit more where they are few. */
export const bare = (seconds) => (some(seconds) ? (seconds && seconds < 0.0095 ? (seconds * 1000).toFixed(1) : String(Math.round(seconds * 1000))) : missing);
export const percent = (share, digits = 1) => (some(share) ? `${(100 * share).toFixed(digits)} %` : missing);
export const count = (value) => (some(value) ? Math.round(value).toLocaleString() : missing);
export const decimal = (value, digits = 2) => (some(value) ? value.toFixed(digits) : missing);
export const money = (value, currency) => (some(value) ? `${value.toFixed(value && Math.abs(value) < 0.1 ? 5 : 2)} ${currency || ""}`.trim() : missing);
export const when = (seconds) => new Date(seconds * 1000).toLocaleString();

export function duration(seconds) {
  if (!some(seconds)) return missing;
  if (seconds < 90) return `${seconds.toFixed(1)} s`;
  if (seconds < 5400) return `${(seconds / 60).toFixed(1)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** A value in the unit that the servers' metrics give it. */
export function inUnit(value, unit) {
  if (unit === "s") return ms(value);
  if (unit === "share") return percent(value);
  return Number.isInteger(value) ? count(value) : decimal(value);
}
