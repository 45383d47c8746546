// Numbers in words that fit. What is not known is a dash.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const DASH = "–";

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

export const count = (value) => (known(value) ? whole.format(value) : DASH);

export const counted = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** A second: exact below ten, whole above. */
export function rate(value) {
  if (!known(value)) return DASH;
  if (value === 0) return "0";
  return value < 10 ? value.toFixed(value < 1 ? 2 : 1) : whole.format(value);
}

/** A time that something took, from nanoseconds. */
export function span(ns) {
  if (!known(ns)) return DASH;
  const sign = ns < 0 ? "−" : "";
  const us = Math.abs(ns) / 1e3;
  if (us < 1000) return `${sign}${us < 10 ? us.toFixed(1) : us.toFixed(0)} µs`;
  if (us < 1e6) return `${sign}${us < 1e4 ? (us / 1e3).toFixed(1) : (us / 1e3).toFixed(0)} ms`;
  return sign + seconds(us / 1e6);
}

export function seconds(value) {
  if (!known(value)) return DASH;
  if (value < 1) return `${value.toFixed(2)} s`;
  if (value < 60) return `${value.toFixed(1)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min ${Math.floor(value % 60)} s`;
  if (value < 86400) return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
  return `${Math.floor(value / 86400)} d ${Math.floor((value % 86400) / 3600)} h`;
}

export function bytes(value) {
  if (!known(value)) return DASH;
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (value >= size) return `${(value / size).toFixed(value >= 10 * size ? 0 : 1)} ${unit}`;
  }
  return `${whole.format(value)} B`;
}

/** A share of one. */
export const percent = (value) => (known(value) ? `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %` : DASH);

/** Of nanoseconds since 1970, in the viewer's own time. */
export function clockTime(ns) {
  if (!known(ns) || ns <= 0) return DASH;
  return new Date(ns / 1e6).toLocaleTimeString("en-GB");
}

/** How long before `now` (both nanoseconds since 1970). */
export function ago(ns, now) {
  if (!known(ns) || ns <= 0) return "never";
  const since = Math.max(0, (now - ns) / 1e9);
  return since < 1 ? "just now" : `${seconds(since)} ago`;
}

export { DASH };
