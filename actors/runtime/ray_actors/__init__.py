"""All Ray calls of the write side are made in this package: silos and homes as Ray actors, and the way to silos."""

from __future__ import annotations

from actors.ray_settings import pin_ray_settings

pin_ray_settings()

import ray  # noqa: E402 - reads its environment while it is imported

from actors.runtime.ray_actors.cluster import connect, join_ray  # noqa: E402

__all__ = ["connect", "join_ray", "ray"]
