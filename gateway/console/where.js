// Where an actor lives: the silo that owns its partition.

import { ask, serves } from "./api.js";
import { h } from "./dom.js";
import { may } from "./session.js";

/** In words; null when this cannot be told to whoever is signed in. `event` is any event of the actor. */
export async function whereLives(event, signal) {
  if (!event) return null;
  const place = `partition ${event.partition}`;
  if (!serves("/v1/admin/silos") || !may("admin")) return place;
  try {
    const { items } = await ask("/v1/admin/silos", { signal });
    const silo = items.find((each) => each.partitions.includes(event.partition));
    if (!silo) return `${place}, which no silo owns now`;
    return h("span", {}, `${place}, `, h("a", { href: "/console/silos" }, silo.name), ` (process ${silo.pid} on ${silo.node})`);
  } catch {
    return place;
  }
}
