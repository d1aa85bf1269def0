"""A way to a server that can be cut, as a dead network cuts it."""

import asyncio
import contextlib
from typing import Self
from urllib.parse import urlsplit


class Relay:
    """Pass bytes on to a server, and cut whoever is connected when asked: no close frame, no leave."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to = await asyncio.open_connection(self._to.hostname, self._to.port)
        self._writers += [writer, to]
        await asyncio.gather(self._copy(reader, to), self._copy(there, writer))

    async def _copy(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(1 << 16):
                to.write(data)
        to.close()
