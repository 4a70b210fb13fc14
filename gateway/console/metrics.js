// Reads the Prometheus text of the service: figures are differences between two readings.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** `Map(series → { name, labels, value })`; a series is a name with its labels. */
export function parse(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const found = line.startsWith("#") ? null : LINE.exec(line);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(LABEL)) labels[name] = value;
    samples.set(`${found[1]}{${found[2] ?? ""}}`, { name: found[1], labels, value: Number(found[3]) });
  }
  return samples;
}

/** The samples of a name that `fits(labels)` lets through. */
export function select(samples, name, fits = () => true) {
  return [...samples].filter(([, each]) => each.name === name && fits(each.labels));
}

/** What each series of a name has grown by since `before`; a process that has begun anew counts from 0. */
export function growth(samples, before, name, fits) {
  return select(samples, name, fits).map(([series, { labels, value }]) => {
    const was = before.get(series)?.value ?? 0;
    return { labels, value: value >= was ? value - was : value };
  });
}

export function sum(samples) {
  return samples.reduce((all, { value }) => all + value, 0);
}

/** Sums by one label: `{ label: sum }`. */
export function sumBy(samples, label) {
  const sums = {};
  for (const { labels, value } of samples) sums[labels[label]] = (sums[labels[label]] ?? 0) + value;
  return sums;
}

/** The value below which the given share of a histogram lies, from its sums by `le`; null when it is empty. */
export function quantile(buckets, share) {
  const steps = Object.entries(buckets)
    .map(([bound, value]) => [bound === "+Inf" ? Infinity : Number(bound), value])
    .sort(([one], [other]) => one - other);
  const wanted = (steps.at(-1)?.[1] ?? 0) * share;
  if (wanted <= 0) return null;
  let [below, passed] = [0, 0];
  for (const [bound, value] of steps) {
    if (value >= wanted) return bound === Infinity ? below : below + ((bound - below) * (wanted - passed)) / (value - passed);
    [below, passed] = [bound, value];
  }
  return below;
}
