// Small charts. Lines are SVG, which stretches; words are HTML, which does not.

import { h, svg } from "./dom.js";

const WIDTH = 600;
const HEIGHT = 140;

/**
 * Lines over time. `series` is a list of `{ name, points: [{ at, value }] }`, a value may be null; `format(value)`
 * makes text of it.
 */
export function lineChart(title, series, format) {
  const points = series.flatMap((each) => each.points.filter((point) => point.value !== null));
  const highest = niceTop(Math.max(0, ...points.map((point) => point.value)));
  const first = Math.min(...series.flatMap((each) => each.points.map((point) => point.at)));
  const last = Math.max(...series.flatMap((each) => each.points.map((point) => point.at)));
  const latest = series.map((each) => `${each.name} ${format(each.points.at(-1)?.value ?? null)}`);
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${title}: ${latest.join(", ")}` },
    gridLines(),
    series.map((each, index) =>
      svg("path", { class: `line line-${index}`, d: path(each.points, first, last, highest), "vector-effect": "non-scaling-stroke" }),
    ),
  );
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, h("span", { class: "chart-title" }, title), legend(series, latest)),
    h("div", { class: "chart-frame" }, h("span", { class: "chart-top" }, format(highest)), drawing),
    h("div", { class: "chart-times" }, h("span", {}, clock(first)), h("span", {}, clock(last))),
  );
}

/** Bars beside each other: `{ name, value, text }`; the text of each is read out and shown when it is pointed at. */
export function barChart(title, bars) {
  const highest = Math.max(1, ...bars.map((bar) => bar.value));
  const step = WIDTH / Math.max(1, bars.length);
  return h(
    "figure",
    { class: "chart" },
    h(
      "div",
      { class: "chart-frame tall" },
      svg(
        "svg",
        { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `${title}; the table has the figures` },
        gridLines(),
        bars.map((bar, index) => {
          const height = (bar.value / highest) * (HEIGHT - 4);
          const place = { x: index * step + step * 0.15, y: HEIGHT - height, width: step * 0.7, height };
          return svg("rect", { class: "bar", ...place }, svg("title", {}, `${bar.name}: ${bar.text}`));
        }),
      ),
    ),
    h("div", { class: "chart-times" }, h("span", {}, bars[0]?.name ?? ""), h("span", {}, bars.at(-1)?.name ?? "")),
  );
}

function path(points, first, last, highest) {
  const span = Math.max(1, last - first);
  let drawing = "";
  let pen = "M";
  for (const { at, value } of points) {
    if (value === null) {
      pen = "M";
      continue;
    }
    const x = ((at - first) / span) * WIDTH;
    const y = HEIGHT - (value / highest) * (HEIGHT - 4) - 1;
    drawing += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
  }
  return drawing;
}

function gridLines() {
  return [0.25, 0.5, 0.75].map((part) =>
    svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part, "vector-effect": "non-scaling-stroke" }),
  );
}

function legend(series, latest) {
  if (series.length === 1) return h("strong", {}, latest[0].slice(series[0].name.length + 1));
  return h(
    "span",
    { class: "legend" },
    latest.map((text, index) => h("span", {}, h("span", { class: `swatch swatch-${index}`, "aria-hidden": "true" }), text)),
  );
}

/** The end of a scale that people can read: 1, 2 or 5 times a power of ten. */
function niceTop(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value);
}

function clock(at) {
  return Number.isFinite(at) ? new Date(at).toISOString().slice(11, 19) : "";
}
