"""A gateway, as programs outside of the cluster use it: commands as verbs, queries, and the log as it grows.

Every request is tried again until its time is over: at the next address when there are several, under the same key,
and after the pause that the gateway asks for. One answer that was lost makes every later "nothing was done" worthless,
so that such a command ends as `OutcomeUnknown`.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from actors.domain.decider import Command, Decider, Event
from actors.domain.json_text import to_short_json
from actors.errors import ActorsError, OutcomeUnknown, Unavailable
from actors.runtime.command_id import new_command_id
from gateway.remote.errors import error_of
from gateway.remote.follow import LATER, PAUSE_S, SILENCE_S, FollowedEvent, places
from gateway.remote.path import in_path, key_in_path
from gateway.remote.references import How, Receipt, RemoteActor, RemoteCustomer, RemoteOrder

TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 2.0
# A gateway that is told in whole seconds how long to wait may answer so much later than there is time.
GRACE_S = 2.0

C = TypeVar("C", bound=Command)
E = TypeVar("E", bound=Event)

_pause = wait_random_exponential(multiplier=0.05, max=1.0)


class _TryAgain(Exception):
    """A try that led to nothing, and how long the gateway asks to wait before the next."""

    def __init__(self, error: ActorsError, after_s: float = 0.0) -> None:
        super().__init__(error, after_s)
        self.error, self.after_s = error, after_s


class GatewayClient:
    """Talks to the gateways of one service.

    Args:
        urls: of one gateway or of several.
        token: sent with every request; called for each, so that it can be renewed.
        transport: of httpx, for programs that need another one.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        token: str | Callable[[], str],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._urls = [urls] if isinstance(urls, str) else list(urls)
        self._token: Callable[[], str] = (lambda: token) if isinstance(token, str) else token
        self._at = 0
        self._http = httpx.AsyncClient(transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    def customer(self, key: str) -> RemoteCustomer:
        """A customer. Raises `ValueError` when nobody can be called so."""
        return RemoteCustomer(self, key)

    def order(self, key: str) -> RemoteOrder:
        """An order. Raises `ValueError` when none can be called so."""
        return RemoteOrder(self, key)

    def actor(self, decider: Decider[C, E, Any], key: str) -> RemoteActor[C, E]:
        """An actor of any kind. Raises `ValueError` when none can be called so."""
        return RemoteActor(self, decider, key)

    async def get_customer(self, key: str, *, after: str | None = None) -> dict[str, Any]:
        """A customer as they are, not older than the token `after`.

        Raises:
            Rejected: there is none.
            ValueError: nobody can be called so.
        """
        return await self.get(f"/v1/customers/{key_in_path(key)}", after=after)

    async def get_order(self, key: str, *, after: str | None = None) -> dict[str, Any]:
        """An order as it is, not older than the token `after`.

        Raises:
            Rejected: there is none.
            ValueError: none can be called so.
        """
        return await self.get(f"/v1/orders/{key_in_path(key)}", after=after)

    async def get_row(self, view: str, key: str, *, after: str | None = None) -> dict[str, Any]:
        """A row of the view of another domain.

        Raises:
            Rejected: there is none.
            ValueError: the name of the view or the key is empty.
        """
        return await self.get(f"/v1/views/{in_path(view)}/{in_path(key)}", after=after)

    async def get(
        self, path: str, *, after: str | None = None, timeout_s: float = TIMEOUT_S, **parameters: Any
    ) -> dict[str, Any]:
        """What a query answers.

        Args:
            path: with its `/v1`.
            after: a token, of a receipt for example; the answer is not older.
            timeout_s: how long to try.

        Raises:
            ActorsError: see `actors.errors`.
        """
        headers = {} if after is None else {"Consistency-Token": after}
        query = {name: value for name, value in parameters.items() if value is not None}

        async def attempt(within_s: float) -> httpx.Response:
            return await self._request("GET", path, headers, None, within_s, params=query)

        response = await self._insist(attempt, timeout_s)
        if not response.is_success:
            raise error_of(response)
        found: dict[str, Any] = response.json()
        return found

    async def post(self, decider: Decider[Any, E, Any], key: str, command: Command, how: How) -> Receipt[E]:
        """See `CommandPoster`."""
        command_id, expected = how.get("command_id") or new_command_id(), how.get("expected_version")
        stream = f"{decider.category}-{key}"
        path = f"/v1/{decider.collection}/{key_in_path(key)}/{decider.name_of(command)}"
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(command_id), **_condition(expected)}
        body = to_short_json(command).encode()

        async def attempt(within_s: float) -> httpx.Response:
            wait = {"Prefer": f"wait={max(1, math.ceil(within_s))}"}
            return await self._request("POST", path, {**headers, **wait}, command_id, within_s, content=body)

        response = await self._insist(attempt, how.get("timeout", TIMEOUT_S))
        if not response.is_success:
            raise error_of(response, command_id, stream, expected)
        return _receipt(decider, response.json(), command_id)

    async def events(
        self, *, from_: str = "now", types: Sequence[str] = (), after: str | None = None
    ) -> AsyncGenerator[FollowedEvent]:
        """The events of the log, as they come, for ever: after every loss of the connection it goes on where it was.

        Args:
            from_: `start` or `now`.
            types: only these; all when empty.
            after: id of the last event that is known already; then `from_` does not count.

        Raises:
            ActorsError: the gateway does not let us, or knows no such place.
        """
        at = after
        while True:

            async def connect(_: float, at: str | None = at) -> httpx.Response:
                headers = {"Accept": "text/event-stream"} | ({} if at is None else {"Last-Event-ID": at})
                params: dict[str, Any] = {"from": from_, "type": list(types)}
                return await self._request("GET", "/v1/events", headers, None, SILENCE_S, stream=True, params=params)

            response = await self._insist(connect, math.inf)
            try:
                if not response.is_success:
                    raise error_of(response)
                async for place, event in places(response):
                    at = place
                    if event is not None:
                        yield event
            except httpx.TransportError:
                pass
            finally:
                await response.aclose()
            await asyncio.sleep(PAUSE_S)

    async def _insist(self, attempt: Callable[[float], Awaitable[httpx.Response]], timeout_s: float) -> httpx.Response:
        """Try until there is an answer for good; an attempt is told how many seconds are left.

        Raises:
            ActorsError: there was none in time.
        """
        lost: ActorsError | None = None
        deadline = time.monotonic() + timeout_s

        async def once() -> httpx.Response:
            nonlocal lost
            try:
                return await attempt(max(0.0, deadline - time.monotonic()))
            except _TryAgain as again:
                lost = again.error if isinstance(again.error, OutcomeUnknown) else lost
                raise

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_TryAgain),
            wait=_wait,
            stop=stop_after_delay(timeout_s),
            reraise=True,
        )
        try:
            return await retrying(once)
        except _TryAgain as again:
            raise (lost or again.error) from again

    async def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        command_id: UUID | None,
        within_s: float,
        *,
        stream: bool = False,
        **more: Any,
    ) -> httpx.Response:
        """One try. Raises `_TryAgain` when another may succeed."""
        url, timeout = f"{self._urls[self._at]}{path}", httpx.Timeout(within_s + GRACE_S, connect=CONNECT_TIMEOUT_S)
        headers = {**headers, "Authorization": f"Bearer {self._token()}"}
        request = self._http.build_request(method, url, headers=headers, timeout=timeout, **more)
        try:
            response = await self._http.send(request, stream=stream)
            if not response.is_success:
                await response.aread()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as exc:
            self._try_next()
            raise _TryAgain(Unavailable(f"the gateway cannot be reached: {exc or type(exc).__name__}")) from exc
        except httpx.TransportError as exc:
            self._try_next()
            lost = f"the answer was lost: {exc or type(exc).__name__}"
            raise _TryAgain(Unavailable(lost) if command_id is None else OutcomeUnknown(command_id, lost)) from exc
        if response.status_code in LATER:
            asked = response.headers.get("Retry-After", "")
            raise _TryAgain(error_of(response, command_id), float(asked) if asked.isdecimal() else 0.0)
        return response

    def _try_next(self) -> None:
        self._at = (self._at + 1) % len(self._urls)


def _wait(state: RetryCallState) -> float:
    """The pause before the next try: what the gateway asks for, and a short one that grows."""
    error = state.outcome.exception() if state.outcome else None
    return _pause(state) + (error.after_s if isinstance(error, _TryAgain) else 0.0)


def _condition(expected_version: int | None) -> dict[str, str]:
    if expected_version is None:
        return {}
    return {"If-Match": f'"{expected_version}"'} if expected_version else {"If-None-Match": "*"}


def _receipt(decider: Decider[Any, E, Any], reply: Mapping[str, Any], command_id: UUID) -> Receipt[E]:
    events = tuple(decider.read_event(event["type"], json.dumps(event["data"])) for event in reply["events"])
    return Receipt(reply["id"], reply["version"], events, command_id, reply["replayed"], reply["token"])
