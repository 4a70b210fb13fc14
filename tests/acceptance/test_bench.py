from __future__ import annotations

import json

from tests.acceptance import serving


def test_bench_prints_its_figures_and_the_raw_limit_of_the_same_run_as_one_object() -> None:
    done = serving.run(
        *("bench", "commands", "--customers", "40", "--commands", "200", "--concurrency", "16"),
        *("--crowd", "10", "--crowd-events", "2", "--json"),
    )

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["bench"] == "commands"
    assert report["settings"]["crowd_events"] == 2
    figures = {figure["name"]: figure for figure in report["figures"]}
    assert set(figures) == {"register, all asleep", "rename", "rename, one at a time", "raw inserts of these rows"}
    assert all(figure["per_s"] > 0 for figure in figures.values())
    renamed, raw = figures["rename"], figures["raw inserts of these rows"]
    assert renamed["of_raw"] == round(renamed["of_raw"], 4)
    assert abs(renamed["of_raw"] - renamed["per_s"] / raw["per_s"]) < 0.01
    assert renamed["p50_ms"] <= renamed["p99_ms"] <= renamed["slowest_ms"]


def test_bench_of_activations_tells_what_a_snapshot_saves_and_what_an_idle_actor_costs() -> None:
    done = serving.run("bench", "activations", "--customers", "4000", "--long", "5", "--rounds", "2", "--json")

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["bench"] == "activations"
    figures = {figure["name"]: figure for figure in report["figures"]}
    many, raw = figures["wake many"], figures["raw reads of their rows"]
    assert abs(many["of_raw"] - many["per_s"] / raw["per_s"]) < 0.01
    assert figures["wake one by its snapshot"]["p50_ms"] < figures["wake one by 1000 events"]["p50_ms"]
    assert figures["find one awake"]["p50_ms"] > 0
    assert figures["idle actors"]["actors per GiB"] > 0
