"""Settings of Ray itself, pinned: an operator's own value wins, Ray's changing defaults do not."""

from __future__ import annotations

import os
from pathlib import Path

NAMESPACE = "rayleans"

RAY_SETTINGS = {
    # Silos share the machine with PostgreSQL; at Ray's default niceness of 15 they would starve beside it.
    "RAY_worker_niceness": "0",
    # One report to the GCS for each call would cost more than the call.
    "RAY_task_events_report_interval_ms": "0",
    # Under `uv run` Ray would pack the working directory and build an environment for each worker.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def pin_ray_settings() -> None:
    """Put the settings into the environment. Must happen before Ray is imported, which is when it reads some."""
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    if _has_token():
        # Ray decides so by itself for a cluster that it finds, but not for one whose address it is given.
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _has_token() -> bool:
    given = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys()
    return bool(given) or (Path.home() / ".ray" / "auth_token").exists()
