// Measures the service every two seconds while somebody is signed in, so that charts go on from screen to screen.

import { ask, askText, serves } from "./api.js";
import { growth, parse, quantile, total, totalBy } from "./metrics.js";
import { may } from "./session.js";

const EVERY_MS = 2000;
const KEPT = 300;

let samples = [];
let timer = null;
let before = null;
let latest = null;

/** What was measured, oldest first; see `measure`. */
export function measured() {
  return samples;
}

/** The status of each projection in the last measurement; null when it is not told. */
export function latestProjections() {
  return latest;
}

export function startSampling() {
  samples = [];
  before = null;
  latest = null;
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
  }
  timer = setTimeout(sample, EVERY_MS);
}

/**
 * One measurement: rates, latencies and outcomes since the one before it, lags and alarms as they are now.
 * What cannot be known is null.
 */
async function measure() {
  const [figures, projections, readiness] = await Promise.all([readMetrics(), readProjections(), readReadiness()]);
  latest = projections;
  return { at: Date.now(), ...figures, lag: worstLag(projections), readiness };
}

function worstLag(projections) {
  if (!projections?.length) return null;
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
  const seconds = Math.max(0.001, (now.at - last.at) / 1000);
  const grown = (name, label) => growth(totalBy(now.samples, name, label), totalBy(last.samples, name, label));
  const sum = (counts) => [...counts.values()].reduce((all, each) => all + each, 0);
  const outcomes = grown("rayleans_commands_total", "outcome");
  const buckets = grown("rayleans_request_seconds_bucket", "le");
  return {
    commandsPerS: sum(outcomes) / seconds,
    queriesPerS: sum(grown("rayleans_queries_total", "outcome")) / seconds,
    latency: { p50: quantile(buckets, 0.5), p95: quantile(buckets, 0.95), p99: quantile(buckets, 0.99) },
    outcomes: Object.fromEntries(totalBy(now.samples, "rayleans_commands_total", "outcome")),
    activations: total(now.samples, "rayleans_activations"),
    reason: null,
  };
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
