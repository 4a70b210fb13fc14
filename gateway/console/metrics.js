// Reads the Prometheus text of the gateway: figures are differences between two readings.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** A list of `{ name, labels, value }`. */
export function parse(text) {
  const samples = [];
  for (const line of text.split("\n")) {
    const found = line.startsWith("#") ? null : LINE.exec(line);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(LABEL)) labels[name] = value;
    samples.push({ name: found[1], labels, value: Number(found[3]) });
  }
  return samples;
}

/** The sum of the samples of a name whose labels fit; null when there is none. */
export function total(samples, name, labels = {}) {
  const found = samples.filter((each) => each.name === name && fits(each, labels));
  return found.length ? found.reduce((sum, each) => sum + each.value, 0) : null;
}

/** The samples of a name, added up by one of their labels: `Map(label → value)`. */
export function totalBy(samples, name, label) {
  const sums = new Map();
  for (const each of samples) {
    if (each.name !== name) continue;
    const key = each.labels[label] ?? "";
    sums.set(key, (sums.get(key) ?? 0) + each.value);
  }
  return sums;
}

/** What was added to each label between two such sums; what a new process has counted is new. */
export function growth(now, before) {
  const grown = new Map();
  for (const [key, value] of now) {
    const was = before.get(key) ?? 0;
    grown.set(key, value >= was ? value - was : value);
  }
  return grown;
}

/** The value below which the given share of what grew in a histogram lies, in its own unit; null when nothing did. */
export function quantile(buckets, share) {
  const steps = [...buckets]
    .map(([bound, value]) => [bound === "+Inf" ? Infinity : Number(bound), value])
    .sort(([one], [other]) => one - other);
  const all = steps.at(-1)?.[1] ?? 0;
  if (all <= 0) return null;
  const wanted = all * share;
  let [below, passed] = [0, 0];
  for (const [bound, value] of steps) {
    if (value >= wanted) {
      if (bound === Infinity) return below;
      return below + ((bound - below) * (wanted - passed)) / Math.max(1e-9, value - passed);
    }
    [below, passed] = [bound, value];
  }
  return below;
}

function fits(sample, labels) {
  return Object.entries(labels).every(([name, value]) => sample.labels[name] === value);
}
