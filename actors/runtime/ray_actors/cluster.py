"""How programs enter a Ray cluster, and find the service that runs in it."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import ray

from actors.errors import Unavailable
from actors.ray_settings import NAMESPACE
from actors.runtime.client import Client
from actors.runtime.ray_actors.transport import RayTransport
from actors.runtime.reference import ActorClient

CONNECT_TIMEOUT_S = 5.0


def join_ray(address: str | None) -> None:
    """Connect this process to a running Ray cluster, unless it is connected.

    Raises:
        Unavailable: no cluster can be found there.
    """
    if ray.is_initialized():
        return
    _refuse_nobody(address or os.environ.get("RAY_ADDRESS", ""))
    # It would tell of the thread that it is connected from.
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        ray.init(address=address or "auto", namespace=NAMESPACE, configure_logging=False, log_to_driver=False)
    except ConnectionError as exc:
        raise Unavailable(f"no Ray cluster at {address or 'this machine'}: {exc}") from exc
    keep_stdout_for_data()


def _refuse_nobody(address: str) -> None:
    """Ray itself tries for minutes to reach a cluster that is not there. Raises `Unavailable`."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "/" in host:
        return  # Ray has to find out where that is.
    try:
        socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S).close()
    except OSError as exc:
        raise Unavailable(f"no Ray cluster answers at {address} ({exc}); start the service, or Ray, there") from exc


def keep_stdout_for_data() -> None:
    """Have Ray print nothing on the stdout of this process, which is connected to a cluster.

    Whatever it is told, Ray prints there what the nodes complain of, such as a number of processes; its logs have that
    too. So the thread that does so is ended, in the way in which Ray ends it; in a release that does it in another way,
    it prints.
    """
    with suppress(AttributeError):
        worker: Any = ray._private.worker.global_worker  # noqa: SLF001 - there is no other way
        worker.threads_stopped.set()
        worker.gcs_error_subscriber.close()


@asynccontextmanager
async def connect(address: str | None = None, *, by: str = "python") -> AsyncIterator[ActorClient]:
    """A client of the service that runs in this Ray cluster.

    Args:
        address: of the Ray cluster; None = the one this process belongs to, or the one on this machine.
        by: author of the commands, as the log will show it.

    Raises:
        Unavailable: there is no such cluster, or no service runs in it.
    """
    await asyncio.to_thread(join_ray, address)
    client = Client(RayTransport())
    await client.start()
    yield ActorClient(client, by)


def address_of_node() -> str:
    """Of the node in the cluster that this process is on."""
    address: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    return address
