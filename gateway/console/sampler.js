// Measures the service every two seconds while somebody is signed in, so that charts go on from screen to screen.

import { ask, askText, serves } from "./api.js";
import { growth, parse, quantile, select, sum, sumBy } from "./metrics.js";
import { may } from "./session.js";

const EVERY_MS = 2000;
// Rates need two measurements: somebody who has just signed in waits for them.
const FIRST_MS = 500;
const KEPT = 300;

let samples = [];
let timer = null;
let before = null;
let latest = null;
let begun = Promise.withResolvers();

/** What was measured, oldest first; see `measure`. */
export function measured() {
  return samples;
}

/** The last measurement, as soon as there is one. */
export async function lastMeasured() {
  await begun.promise;
  return samples.at(-1);
}

/** The status of each projection in the last measurement; null when it is not told. */
export function latestProjections() {
  return latest;
}

export function startSampling() {
  samples = [];
  before = null;
  latest = null;
  begun = Promise.withResolvers();
  timer = setTimeout(sample, 0);
}

export function stopSampling() {
  clearTimeout(timer);
  timer = null;
}

async function sample() {
  const running = timer;
  if (!document.hidden) {
    const measurement = await measure();
    if (timer !== running) return;
    samples = [...samples, measurement].slice(-KEPT);
    begun.resolve();
  }
  timer = setTimeout(sample, samples.length === 1 ? FIRST_MS : EVERY_MS);
}

/**
 * One measurement: rates, latencies and outcomes since the one before it, lags and alarms as they are now.
 * What cannot be known is null.
 */
async function measure() {
  const [metrics, projections, readiness] = await Promise.all([readMetrics(), readProjections(), readReadiness()]);
  latest = projections;
  return { at: Date.now(), ...metrics, lag: worstLag(projections, metrics.missing), readiness };
}

/** `{ name, seconds, events }`; without the scope admin the seconds are not told. */
function worstLag(projections, missing = {}) {
  if (!projections?.length) {
    const [name, events] = Object.entries(missing).sort(([, one], [, other]) => other - one)[0] ?? [];
    return name === undefined ? null : { name, events, seconds: null };
  }
  const worst = projections.reduce((one, other) => (other.lag.seconds > one.lag.seconds ? other : one));
  return { name: worst.name, ...worst.lag };
}

async function readMetrics() {
  const unknown = { commandsPerS: null, queriesPerS: null, latency: null, outcomes: null };
  if (!serves("/metrics")) return { ...unknown, reason: "this service has no metrics" };
  let text;
  try {
    text = await askText("/metrics");
  } catch (error) {
    before = null;
    return { ...unknown, reason: error.message };
  }
  const now = { at: Date.now(), samples: parse(text) };
  const last = before;
  before = now;
  if (!last) return { ...unknown, reason: "measuring …" };
  return { ...figures(now.samples, last.samples, Math.max(0.001, (now.at - last.at) / 1000)), reason: null };
}

function figures(now, last, seconds) {
  const buckets = sumBy(growth(now, last, "rayleans_http_request_seconds_bucket", isOfUsers), "le");
  return {
    commandsPerS: sum(growth(now, last, "rayleans_commands_total")) / seconds,
    queriesPerS: sum(growth(now, last, "rayleans_http_requests_total", isQuery)) / seconds,
    latency: { p50: quantile(buckets, 0.5), p95: quantile(buckets, 0.95), p99: quantile(buckets, 0.99) },
    outcomes: sumBy(select(now, "rayleans_commands_total").map(([, each]) => each), "outcome"),
    fresh: sumBy(growth(now, last, "rayleans_commands_total"), "outcome"),
    missing: sumBy(select(now, "rayleans_projection_lag_events").map(([, each]) => each), "projection"),
  };
}

/** What operators ask, this console among them, and streams that stay open, are no measure of what users feel. */
function isOfUsers({ route }) {
  return route.startsWith("/v1/") && !route.startsWith("/v1/admin") && route !== "/v1/events";
}

function isQuery(labels) {
  return labels.method === "GET" && isOfUsers(labels);
}

async function readProjections() {
  if (!serves("/v1/admin/projections") || !may("admin")) return null;
  try {
    return (await ask("/v1/admin/projections")).items;
  } catch {
    return null;
  }
}

async function readReadiness() {
  try {
    const response = await fetch("/readyz", { cache: "no-store" });
    return await response.json();
  } catch {
    return { ready: false, reasons: ["the service does not answer"] };
  }
}
