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
