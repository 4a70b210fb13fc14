// Where an actor lives: in the silo that owns its partition, or in a home of its own.

import { ask, serves } from "./api.js";
import { kindOf } from "./commands.js";
import { h } from "./dom.js";
import { may } from "./session.js";

/** In words; null when this cannot be told to whoever is signed in. `event` is any event of the actor. */
export async function whereLives(collection, id, event, signal) {
  if (!event) return null;
  const place = `partition ${event.partition}`;
  if (!serves("/v1/admin/silos") || !may("admin")) return place;
  try {
    const { items } = await ask("/v1/admin/silos", { signal });
    const silo = items.find((each) => each.partitions.includes(event.partition));
    if (!silo) return `${place}, which no silo owns now`;
    const home = silo.own_homes.find((each) => each.actor === kindOf(collection) && each.id === id);
    return h("span", {}, `${place}, `, h("a", { href: "/console/silos" }, silo.name), home ? `, in a home of its own${processOf(home)}` : processOf(silo));
  } catch {
    return place;
  }
}

function processOf({ pid, node }) {
  return ` (process ${pid} on ${node})`;
}
