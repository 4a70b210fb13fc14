"""Stands between silos and PostgreSQL, and misbehaves as networks and servers do."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit

from tests.listening import listening

CHUNK = 64 * 1024
APPENDED = b"INSERT 0 "
SYNC = b"S"
_FATAL = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
GOODBYE = b"E" + struct.pack("!i", len(_FATAL) + 4) + _FATAL
EXECUTE = b"E"


class Link:
    """One connection through the proxy.

    Attributes:
        stalled: a Sync was held back, so that the server has executed a statement and not committed it.
    """

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.stalled = False

    def reset(self) -> None:
        """As when a machine between them loses its memory."""
        for end in (self.client, self.server):
            sock = end.get_extra_info("socket")
            # One that is lost already has no socket any more that could be told anything.
            if not end.is_closing() and sock.family == socket.AF_INET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.transport.abort()


class PostgresProxy:
    """Forwards, unless it is told something else.

    Attributes:
        delay_s: how long every reply of the server takes to come.
        links: the present connections.
        cuts: how often the reply to an append was swallowed.
        port: where it listens.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.lead_to(url)
        self._path = f"{parts.username}@127.0.0.1"
        self._database = parts.path
        self.delay_s = 0.0
        self.links: set[Link] = set()
        self.cuts = 0
        self.port = 0
        self._cut_armed = False
        self._hold_armed = False
        self._stalled = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()

    @property
    def url(self) -> str:
        """The address of the database through this proxy."""
        return f"postgresql://{self._path}:{self.port}{self._database}?sslmode=disable"

    def lead_to(self, url: str) -> None:
        """Take new connections to another server; those that there are stay where they are."""
        options = parse_qs(urlsplit(url).query)
        self._socket = f"{options['host'][0]}/.s.PGSQL.{options['port'][0]}"

    def reset(self) -> None:
        """Reset all present connections."""
        for link in list(self.links):
            link.reset()

    def black_hole(self) -> None:
        """Nothing gets through any more, and nobody is told, until `heal`."""
        self._open.clear()

    def heal(self) -> None:
        """Let everything through that waits."""
        self._open.set()

    def cut_next_append(self) -> None:
        """The next append is committed; its reply is lost, and so is the connection."""
        self._cut_armed = True

    def say_goodbye(self) -> None:
        """The server tells that it ends all sessions, and then takes its time to close the connections."""
        for link in self.links:
            link.client.write(GOODBYE)

    async def stall_next_statement(self) -> Link:
        """The next statement is executed and not committed: its Sync never arrives. Returns once it is so."""
        self._stalled.clear()
        self._hold_armed = True
        await self._stalled.wait()
        return next(link for link in self.links if link.stalled)

    async def forward(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """One connection, until one of its ends leaves."""
        try:
            answers, server = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return
        link = Link(client, server)
        self.links.add(link)
        ways = [asyncio.create_task(self._ask(reader, link)), asyncio.create_task(self._answer(answers, link))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.links.discard(link)
            link.reset()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _ask(self, reader: asyncio.StreamReader, link: Link) -> None:
        """Client to server, message by message after the first, which has no type."""
        with suppress(asyncio.IncompleteReadError, OSError):
            (length,) = struct.unpack("!i", first := await reader.readexactly(4))
            link.server.write(first + await reader.readexactly(length - 4))
            kind = b""
            while True:
                before, kind = kind, await reader.readexactly(1)
                (length,) = struct.unpack("!i", size := await reader.readexactly(4))
                message = kind + size + await reader.readexactly(length - 4)
                await self._open.wait()
                if self._hold_armed and (before, kind) == (EXECUTE, SYNC):
                    await self._stall(link)
                link.server.write(message)
                await link.server.drain()

    async def _stall(self, link: Link) -> None:
        self._hold_armed = False
        link.stalled = True
        self._stalled.set()
        await asyncio.get_running_loop().create_future()

    async def _answer(self, answers: asyncio.StreamReader, link: Link) -> None:
        with suppress(OSError):
            while data := await answers.read(CHUNK):
                await self._open.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if self._cut_armed and APPENDED in data:
                    self._cut_armed = False
                    self.cuts += 1
                    return
                link.client.write(data)
                await link.client.drain()


@asynccontextmanager
async def postgres_proxy(url: str) -> AsyncIterator[PostgresProxy]:
    """A proxy in front of a database of the embedded server."""
    proxy = PostgresProxy(url)
    async with listening(proxy.forward) as proxy.port:
        yield proxy
