"""The service as a whole: starts what is missing, waits until it works, and stops it in order."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import asyncpg

from actors.domain.domain import Domain, load_domain
from actors.runtime.placement import Placement
from actors.runtime.ray_actors.silos import SiloConfig, start_silo, watch_silo
from actors.store.data_dir import DataDir
from actors.store.driver import DRIVER_ERRORS, SERVER, told
from actors.store.embedded import EmbeddedPostgres
from actors.store.postgres import PostgresEventStore
from gateway.access.auth import TOKEN_SCOPES
from gateway.access.local_key import LocalKey, write_secret
from gateway.access.sign_in import SignInCodes, console_link
from gateway.app import LOOPBACK_HOSTS
from gateway.database_address import place_of
from gateway.http.free_port import free_port
from gateway.http.taken_port import why_not_listen
from gateway.ray_actors import (
    GatewayConfig,
    clear_away,
    enter_ray,
    lease,
    ray_address,
    start_gateway,
    start_ray,
    stop_ray,
    stop_service,
)
from gateway.readiness import wait_until_ready, watch_port
from gateway.settings import Settings, SettingsError, read_settings
from gateway.succession import newest_service
from projections.projection import projections_of
from projections.ray_actors import ProjectionConfig, start_projection
from projections.share import Share

CONNECT_TIMEOUT_S = 5.0
OWN_TOKEN_LIFETIME = timedelta(days=365)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a service is laid out.

    Attributes:
        address: of a running Ray cluster; None = one of our own.
        silos, partitions, gateways: how many; the number of partitions is for the life of the log.
        placement: where actors live.
        runners: how many share each view out, where its rows allow that.
    """

    host: str = "127.0.0.1"
    port: int = 8700
    address: str | None = None
    silos: int = 1
    partitions: int = 16
    gateways: int = 1
    placement: Placement = Placement.AUTO
    runners: int = 1

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Databases:
    """The two databases of a service."""

    events_url: str
    views_url: str


@dataclass(frozen=True, slots=True)
class Running:
    """A service that works, where it answers, and where its data are."""

    url: str
    data: Path
    databases: Databases
    key: LocalKey | None

    @property
    def token(self) -> str:
        """One with all scopes. Only with the local signing key."""
        return (self.data / "token").read_text().strip()

    @property
    def console(self) -> str:
        """Where a browser opens the console; with the local signing key it is signed in then, once."""
        return console_link(self.url, SignInCodes(self.data).make(self.key)) if self.key else f"{self.url}/console"


@asynccontextmanager
async def running_service(settings: Settings, plan: Plan, say: Say) -> AsyncIterator[Running]:
    """A service that works until the block ends.

    Args:
        say: told what happens, for people.

    Raises:
        SettingsError, DataDirError, EmbeddedError, DomainError, LocalKeyError, ServiceRunning, Unavailable: it
            cannot start as it was told; nothing is left behind.
        Superseded: a newer service was begun on its log, and this one has been stopped in order.
    """
    domain = load_domain(settings.domain)
    projections_of(domain)
    _refuse_open_door(settings, plan)
    _refuse_taken_port(plan)
    with DataDir(settings.data) as data:
        key = _own_key(settings, data.path)
        async with _databases(settings, data.path, say) as databases, _ray(plan, say), lease():
            (data.path / "ray-address").write_text(f"{ray_address()}\n")
            await clear_away()
            try:
                say("starting silos, projections and gateway")
                # While the log is away, the gateway tells so.
                _start_projections(settings, plan, databases, domain)
                _start_gateways(settings, plan, databases, data.path, key)
                open_log = partial(PostgresEventStore.open, databases.events_url, partitions=plan.partitions)
                async with newest_service(open_log, say) as generation, _silos(settings, plan, databases, generation):
                    await wait_until_ready(plan.url, say)
                    yield Running(plan.url, data.path, databases, key)
            finally:
                say("stopping")
                await stop_service()
                (data.path / "ray-address").unlink(missing_ok=True)


@asynccontextmanager
async def temporary_service(
    say: Say,
    *,
    domain: str = "projections.standard:STANDARD",
    silos: int = 1,
    placement: Placement = Placement.AUTO,
    fill_log: Callable[[str, int], Awaitable[None]] | None = None,
) -> AsyncIterator[Running]:
    """A service in a temporary directory on any free port, with databases of its own; gone with the block.

    Args:
        fill_log: given the address of the log and its number of partitions, before anybody else has it.
    """
    with tempfile.TemporaryDirectory(prefix="rayleans-", ignore_cleanup_errors=True) as folder:
        settings = read_settings(data=Path(folder) / "data", events_url=None, views_url=None, domain=domain)
        plan = Plan(port=free_port(), silos=silos, placement=placement)
        if fill_log is not None:
            with DataDir(settings.data) as data:
                async with _databases(settings, data.path, say) as databases:
                    await fill_log(databases.events_url, plan.partitions)
        async with running_service(settings, plan, say) as service:
            yield service


async def serve(settings: Settings, plan: Plan, say: Say, ready: Say) -> None:
    """Run a service until SIGINT or SIGTERM. Raises as `running_service`.

    Args:
        ready: told its address when commands and queries work.
    """
    async with _until_signal(), running_service(settings, plan, say) as service:
        ready(service.url)
        say(f"console {service.console}")
        await watch_port(service.url, say)


@asynccontextmanager
async def _until_signal() -> AsyncIterator[None]:
    """The first signal cancels the block wherever it is, so that what was started is stopped in order; others wait."""
    block = asyncio.current_task()
    assert block is not None, "a coroutine runs in a task"  # noqa: S101
    came = False

    def interrupt() -> None:
        nonlocal came
        if not came:
            came = True
            block.cancel()

    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, interrupt)
    try:
        yield
    except asyncio.CancelledError:
        if not came:
            raise
        block.uncancel()


def _refuse_open_door(settings: Settings, plan: Plan) -> None:
    local = plan.host == "localhost" or (_is_address(plan.host) and ip_address(plan.host).is_loopback)
    if not local and not settings.has_own_identity_provider:
        raise SettingsError(
            f"with the local signing key the service listens on this machine only, not on {plan.host}; set "
            "RAYLEANS_AUTH_JWKS_URL, RAYLEANS_AUTH_ISSUER and RAYLEANS_AUTH_AUDIENCE to open it to others"
        )


def _refuse_taken_port(plan: Plan) -> None:
    """Another server at the same address would be taken for this one."""
    if obstacle := why_not_listen(plan.host, plan.port):
        raise SettingsError(f"cannot listen on {plan.host} port {plan.port}: {obstacle.strerror}; try --port")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _own_key(settings: Settings, data: Path) -> LocalKey | None:
    if settings.has_own_identity_provider:
        return None
    key = LocalKey.make_or_load(data)
    token = key.mint("operator", TOKEN_SCOPES, OWN_TOKEN_LIFETIME)
    write_secret(data / "token", f"{token}\n".encode())
    return key


@asynccontextmanager
async def _databases(settings: Settings, data: Path, say: Say) -> AsyncIterator[Databases]:
    if settings.events_url is not None and settings.views_url is not None:
        await asyncio.gather(
            _tell_when_away("RAYLEANS_EVENTS_URL", settings.events_url, say),
            _tell_when_away("RAYLEANS_VIEWS_URL", settings.views_url, say),
        )
        yield Databases(settings.events_url, settings.views_url)
        return
    server = EmbeddedPostgres(data, say)
    say("starting PostgreSQL")
    start = asyncio.get_running_loop().create_task(asyncio.to_thread(server.start))
    try:
        await asyncio.shield(start)
        yield Databases(server.url("events"), server.url("views"))
    finally:
        # Also after a signal in the middle of the start: what is half started cannot be stopped.
        await asyncio.wait([start])
        await asyncio.to_thread(server.stop)


async def _tell_when_away(variable: str, url: str, say: Say) -> None:
    """The service waits for its databases; people want to know for which, and who named it."""
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S, target_session_attrs=SERVER)
    except DRIVER_ERRORS as exc:
        say(f"cannot use the database at {place_of(url)}: {told(exc)}; start it or correct {variable}, this one waits")
    else:
        await connection.close()


@asynccontextmanager
async def _ray(plan: Plan, say: Say) -> AsyncIterator[None]:
    if plan.address is None:
        say("starting Ray")
        start_ray()
    else:
        enter_ray(plan.address)
    try:
        yield
    finally:
        await asyncio.to_thread(stop_ray)


@asynccontextmanager
async def _silos(settings: Settings, plan: Plan, databases: Databases, generation: int) -> AsyncIterator[None]:
    """Starts them; those that stand still are replaced until the block ends."""
    silos = [
        SiloConfig(
            index, plan.silos, plan.partitions, databases.events_url, settings.domain, generation, plan.placement
        )
        for index in range(plan.silos)
    ]
    for silo in silos:
        start_silo(silo)
    watches = [asyncio.create_task(watch_silo(silo)) for silo in silos]
    try:
        yield
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.wait(watches)


def _start_projections(settings: Settings, plan: Plan, databases: Databases, domain: Domain) -> None:
    for projection in projections_of(domain):
        shares = min(plan.runners, plan.partitions) if projection.stays_in_partition else 1
        for share in range(shares):
            start_projection(
                ProjectionConfig(
                    name=projection.name,
                    silos=plan.silos,
                    partitions=plan.partitions,
                    events_url=databases.events_url,
                    views_url=databases.views_url,
                    domain=settings.domain,
                    share=Share(share, shares),
                )
            )


def _start_gateways(settings: Settings, plan: Plan, databases: Databases, data: Path, key: LocalKey | None) -> None:
    for index in range(plan.gateways):
        start_gateway(
            GatewayConfig(
                index=index,
                gateways=plan.gateways,
                silos=plan.silos,
                host=plan.host,
                port=plan.port,
                partitions=plan.partitions,
                events_url=databases.events_url,
                views_url=databases.views_url,
                domain=settings.domain,
                hosts=[*LOOPBACK_HOSTS, f"[{plan.host}]" if ":" in plan.host else plan.host.lower(), *settings.hosts],
                rate_per_s=settings.rate_per_s,
                public_pem=key.public_pem if key is not None else None,
                jwks_url=settings.auth_jwks_url,
                issuer=settings.auth_issuer,
                audience=settings.auth_audience,
                data=str(data) if key is not None else None,
            )
        )
