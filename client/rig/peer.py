"""One process of a call, seen from who starts it: orders go out, events come in, its end is noticed."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from client.rig.order import Order

OnEvent = Callable[[dict[str, Any]], None]


class Peer:
    """Run one process of the rig and speak with it in lines of JSON. One event loop; `await close()` in a `finally`."""

    def __init__(self, role: str, process: asyncio.subprocess.Process, log: Path, on_event: OnEvent) -> None:
        self.role = role
        self._process = process
        self._log = log
        self._on_event = on_event
        self._events: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, order: Order, log: Path, on_event: OnEvent) -> "Peer":
        """Start the process and send its order; its stderr goes to `log`, `on_event` is called with each event."""
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "client.rig"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
            )
        peer = cls(order.role, process, log, on_event)
        await peer._write(order.line())
        return peer

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """True once the process is gone."""
        return self._process.returncode is not None

    async def tell(self, **order: object) -> None:
        """Send an order."""
        await self._write(json.dumps(order))

    async def event(self, name: str, timeout_s: float) -> dict[str, Any]:
        """Wait for the first event `name`.

        Raises:
            RuntimeError: the process ended or was silent; holds the end of its log.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(self._future(name))
        except TimeoutError as error:
            raise RuntimeError(
                f"the {self.role} did not say {name!r} within {timeout_s:g} s\n{self._tail()}"
            ) from error

    async def close(self) -> None:
        """End the process: stop, then terminate, then kill. Idempotent."""
        if self._process.returncode is None:
            for end in (self._process.terminate, self._process.kill):
                try:
                    async with asyncio.timeout(3.0):
                        await self._process.wait()
                    break
                except TimeoutError:
                    end()
            await self._process.wait()
        await self._reading
        for future in self._events.values():
            # Whoever waited has its answer; nobody else will ask.
            future.cancel()

    async def _write(self, line: str) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(line.encode() + b"\n")
            await stdin.drain()
        except ConnectionError:
            pass  # it has ended; whoever waits for its next event hears why

    def _future(self, name: str) -> asyncio.Future[dict[str, Any]]:
        return self._events.setdefault(name, asyncio.get_running_loop().create_future())

    async def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        while line := await stdout.readline():
            try:
                event: dict[str, Any] = json.loads(line)
                name = str(event["event"])
            except (ValueError, TypeError, KeyError):
                continue  # some library's own output
            self._on_event(event)
            future = self._future(name)
            if not future.done():
                future.set_result(event)
        await self._process.wait()
        failure = RuntimeError(f"the {self.role} ended early (code {self._process.returncode})\n{self._tail()}")
        for future in self._events.values():
            if not future.done():
                future.set_exception(failure)
                future.exception()

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-15:]
        return "\n".join([*lines, f"(all of it: {self._log})"])
