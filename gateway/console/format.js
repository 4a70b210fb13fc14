// How values look to people.

const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export function count(value) {
  return value === null || value === undefined ? "–" : numbers.format(value);
}

/** A number of things: `1 event`, `2,000 events`. */
export function many(value, thing) {
  return `${count(value)} ${thing}${value === 1 ? "" : "s"}`;
}

/** A rate: 0, 0.4, 12, 3,400. */
export function rate(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return value < 10 ? oneDigit.format(value) : numbers.format(value);
}

/** A duration in seconds: 0.4 ms, 12 ms, 3.2 s, 4 min, 2 h. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return `${(seconds * 1000).toFixed(2)} ms`;
  if (seconds < 0.01) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${oneDigit.format(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.round((seconds % 86400) / 3600)} h`;
}

/** `2026-01-31 12:00:00 UTC`; the milliseconds only where there are some. */
export function time(value) {
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? String(value) : date.toISOString().replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");
}

/** How long ago: `12 s ago`. */
export function ago(value) {
  const seconds = (Date.now() - new Date(value).getTime()) / 1000;
  if (Number.isNaN(seconds)) return "";
  return seconds < 1 ? "just now" : `${duration(Math.floor(seconds))} ago`;
}

/** An amount in the minor unit of a currency: 1299 USD is `12.99 USD`. */
export function money(amount, currency = "") {
  if (amount === null || amount === undefined) return "–";
  const digits = minorDigits(currency);
  const sign = amount < 0 ? "-" : "";
  const text = String(Math.abs(amount)).padStart(digits + 1, "0");
  const whole = text.slice(0, text.length - digits).replace(/\B(?=(\d{3})+$)/g, ",");
  return `${sign}${whole}${digits ? `.${text.slice(-digits)}` : ""} ${currency}`.trim();
}

function minorDigits(currency) {
  try {
    return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
  } catch {
    return 2;
  }
}

export function json(value) {
  return JSON.stringify(value, null, 2);
}

/** A word of a shell: in quotes unless it needs none. */
export function shellWord(text) {
  return /^[\w./:=@%+-]+$/.test(text) ? text : `'${String(text).replace(/'/g, `'\\''`)}'`;
}
