// The service at a glance.

import { lineChart } from "../chart.js";
import { h, replace } from "../dom.js";
import { count, duration, many, rate } from "../format.js";
import { lastMeasured, latestProjections, measured } from "../sampler.js";
import { badge, facts, section, table } from "../table.js";

const LONG_LAG_S = 10;

export const overview = {
  title: () => "Overview",
  show(screen) {
    screen.commandLine = "uv run rayleans status --watch";
    screen.say("measuring …");
    return screen.repeat(lastMeasured, (latest) => draw(screen, latest), 1);
  },
};

function draw(screen, latest) {
  const projections = latestProjections();
  const alarms = alarmsOf(latest, projections);
  return replace(
    screen.body,
    alarms.length
      ? h("div", { class: "notice bad", role: "status" }, h("strong", {}, "Alarms"), h("ul", {}, alarms.map((each) => h("li", {}, each))))
      : h("div", { class: "notice good", role: "status" }, h("strong", {}, "Everything works."), " Commands and queries are answered, no alarm."),
    h("div", { class: "tiles" }, tilesOf(latest)),
    latest.reason ? h("p", { class: "muted" }, `Rates and latencies: ${latest.reason}.`) : null,
    h("div", { class: "charts" }, chartsOf(measured())),
    outcomesOf(latest),
    projectionsOf(projections),
  );
}

function tilesOf({ commandsPerS, queriesPerS, latency, lag, readiness }) {
  return [
    tile("Service", badge(readiness.ready ? "ready" : "not ready")),
    tile("Commands / s", rate(commandsPerS)),
    tile("Queries / s", rate(queriesPerS)),
    tile("Latency p50", duration(latency?.p50)),
    tile("Latency p99", duration(latency?.p99)),
    tile("Worst lag", lag === null || lag.seconds === null ? "–" : duration(lag.seconds), lag?.events ? `${many(lag.events, "event")}, ${lag.name}` : null),
  ];
}

function tile(name, value, more = null) {
  return h("div", { class: "tile" }, h("div", { class: "tile-name" }, name), h("div", { class: "tile-value" }, value), more && h("div", { class: "muted" }, more));
}

function chartsOf(samples) {
  const line = (name, pick) => ({ name, points: samples.map((each) => ({ at: each.at, value: pick(each) ?? null })) });
  const latencies = ["p50", "p95", "p99"].map((name) => line(name, (each) => each.latency?.[name]));
  return [
    lineChart("Commands per second", [line("commands", (each) => each.commandsPerS)], rate),
    lineChart("Queries per second", [line("queries", (each) => each.queriesPerS)], rate),
    lineChart("Latency of requests", latencies, duration),
    lineChart("Worst lag of a view", [line("lag", (each) => each.lag?.seconds)], duration),
  ];
}

function outcomesOf({ outcomes }) {
  if (!outcomes || Object.keys(outcomes).length === 0) return null;
  const rows = Object.entries(outcomes).sort(([, one], [, other]) => other - one);
  const columns = [
    { name: "Outcome", cell: ([name]) => name },
    { name: "Commands since the gateway started", number: true, cell: ([, value]) => count(value) },
  ];
  return section("Outcomes of commands", table("outcomes of commands", columns, rows));
}

function projectionsOf(projections) {
  if (!projections) return null;
  const running = projections.filter((each) => each.state === "running").length;
  return section(
    "Views",
    facts([
      ["Projections", h("a", { href: "/console/projections" }, `${running} of ${projections.length} running`)],
      ["Events a second", rate(projections.reduce((sum, each) => sum + (each.events_per_s ?? 0), 0))],
      ["Parked events", projections.some((each) => "parked" in each) ? count(projections.reduce((sum, each) => sum + (each.parked ?? 0), 0)) : undefined],
    ]),
  );
}

function alarmsOf({ readiness, fresh, lag }, projections) {
  const failed = (projections ?? []).filter((each) => each.state === "failed");
  return [
    ...(readiness.ready ? [] : readiness.reasons),
    ...(fresh?.["outcome-unknown"] ? [`${many(fresh["outcome-unknown"], "command")} with an unknown outcome just now; their callers have to send them again`] : []),
    ...(lag?.seconds > LONG_LAG_S ? [`${lag.name} is ${duration(lag.seconds)} behind`] : []),
    ...failed.map((each) => h("span", {}, h("a", { href: `/console/projections/${encodeURIComponent(each.name)}` }, each.name), ` has stopped: ${each.error ?? "no reason given"}`)),
  ];
}
