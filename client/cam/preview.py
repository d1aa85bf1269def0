"""A small window that shows what leaves `lipline cam`, with a box on each face; it runs as a process of its own."""

import asyncio
import contextlib
import json
import struct
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import cv2
import numpy as np

from client.cam.switch import CamSwitch
from realtime.devices.api import FrameSink, Pixels

WIDTH: Final = 400
_GAP_S: Final = 0.075
"""Between two pictures: a dozen a second is enough to find a face by."""
_START_S: Final = 15.0


class Preview:
    """Show a window for as long as the `async with` block lasts; keys and clicks in it go to `switch`.

    Without a screen or tkinter, `say` receives one line and everything else goes on. One event loop.
    """

    def __init__(self, switch: CamSwitch, caption: Callable[[], str], say: Callable[[str], None]) -> None:
        self._switch, self._caption, self._say = switch, caption, say
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._ready = False
        self._looked_s = float("-inf")

    async def __aenter__(self) -> Self:
        """Start the window; it appears a moment later."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "client.cam.preview_window",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._listening = asyncio.create_task(self._listen(self._process))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the window."""
        self._ready = False
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            try:
                async with asyncio.timeout(2.0):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    def look(self, i420: Pixels) -> None:
        """Show a picture that leaves, (H * 3 // 2, W) uint8, if the last one was taken a while ago; never wait."""
        now_s = time.monotonic()
        stdin = None if self._process is None else self._process.stdin
        if not self._ready or stdin is None or stdin.is_closing() or now_s - self._looked_s < _GAP_S:
            return
        if stdin.transport.get_write_buffer_size() > 0:
            return  # the window has not taken the last one yet
        self._looked_s = now_s
        # After what the loop has to do for this picture: the window may be late, the picture may not.
        asyncio.get_running_loop().call_soon(self._write, stdin, i420)

    def _write(self, stdin: asyncio.StreamWriter, i420: Pixels) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            if not stdin.is_closing():
                stdin.write(self._packed(i420))

    def _packed(self, i420: Pixels) -> bytes:
        height, width = i420.shape[0] * 2 // 3, i420.shape[1]
        scale = min(1.0, WIDTH / width)
        size = round(width * scale), round(height * scale)
        # Not by area: that takes 3 to 6 ms in place of 0.7, and here nobody looks for fine detail.
        small = cv2.resize(cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420), size, interpolation=cv2.INTER_LINEAR)
        faces = [[m.number, *(round(v * scale) for v in m.box), m.followed] for m in self._switch.marks]
        about = json.dumps({"w": size[0], "h": size[1], "caption": self._caption(), "faces": faces}).encode()
        return struct.pack("<I", len(about)) + about + np.ascontiguousarray(small).tobytes()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_START_S):
                first = await process.stdout.readline()
        except TimeoutError:
            self._say("no preview window: it did not appear")
            return
        told = json.loads(first) if first else {}
        if "ready" not in told:
            self._say(f"no preview window: {told.get('error', 'it could not be started')}")
            return
        self._ready = True
        while line := await process.stdout.readline():
            self._take(json.loads(line))
        self._ready = False
        self._say("the preview window is closed; the camera goes on")

    def _take(self, told: dict[str, object]) -> None:
        match told:
            case {"key": str(key)}:
                self._switch.press(key)
            case {"at": [float() | int() as x, float() | int() as y]}:
                self._switch.click(x, y)


class PreviewedDevice:
    """A `FrameSink` that passes pictures on to `sink`, and to `look` as well once that is set."""

    def __init__(self, sink: FrameSink) -> None:
        self._sink = sink
        self.look: Callable[[Pixels], None] | None = None

    def send(self, i420: Pixels) -> None:
        """Pass on a picture, (H * 3 // 2, W) uint8."""
        self._sink.send(i420)
        if self.look is not None:
            self.look(i420)

    def close(self) -> None:
        """Close the sink."""
        self._sink.close()
