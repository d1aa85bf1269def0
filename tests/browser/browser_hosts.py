"""Browsers, processes and camera files for the tests in this folder."""

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol
from weakref import WeakKeyDictionary

from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-for-tests"
ROOM = "lipline"
# Small pictures keep two cores alive with two browsers and a node beside them. Chromium plays .mjpeg at 30 a second.
SIZE, FPS = "320x240", 30
STARTUP_S = 60.0
# Below this share of idle time a call in real time says nothing about lipline.
BUSY = 0.5

FLAGS = (
    "--no-sandbox",  # containers run as root
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--mute-audio",
)

# Keeps what a page makes, so that a test can read getStats() and cut a socket from outside of the page's own code.
RECORD = """
window.seen = {connections: [], sockets: []};
for (const [name, list] of [["RTCPeerConnection", "connections"], ["WebSocket", "sockets"]]) {
  const Plain = window[name];
  window[name] = class extends Plain { constructor(...a) { super(...a); window.seen[list].push(this); } };
}
"""


@dataclass(frozen=True, slots=True)
class Face:
    """Files that Chromium takes for a camera (.mjpeg) and a microphone (.wav); both are played over and over."""

    video: Path
    audio: Path


class Process:
    """Run a `lipline` command; its output is read by a thread, so that it never blocks on a full pipe."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-u", "-m", "client.main", *arguments]
        env = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=env
        )
        self.lines: list[str] = []
        self._fresh: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self._fresh.put(line)
        self._fresh.put(None)

    def wait_for(self, text: str) -> str:
        while True:
            line = self._fresh.get(timeout=STARTUP_S)
            assert line is not None, f"the process ended without saying {text!r}: {''.join(self.lines)}"
            if text in line:
                return line

    def stop(self) -> str:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(timeout=5)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return "".join(self.lines)


@dataclass(frozen=True, slots=True)
class Served:
    """Where a running `lipline serve` is, and which share of the machine was idle before it began."""

    port: int
    idle: float

    @property
    def link(self) -> str:
        return f"http://127.0.0.1:{self.port}/?room={ROOM}#token={TOKEN}"

    @property
    def token(self) -> str:
        return TOKEN

    @property
    def signaling(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


def make_face(folder: Path, name: str, clip: Path, picture: str, start: str) -> Face:
    made = Face(folder / f"{name}.mjpeg", folder / f"{name}.wav")
    ffmpeg = ["ffmpeg", "-v", "error", "-y", "-threads", "1", "-ss", start, "-i", str(clip)]
    subprocess.run([*ffmpeg, "-an", "-vf", picture, "-q:v", "4", str(made.video)], check=True)
    subprocess.run([*ffmpeg, "-vn", "-ar", "48000", "-ac", "1", str(made.audio)], check=True)
    return made


ColorScheme = Literal["light", "dark"]
_COMPLAINTS: WeakKeyDictionary[Page, list[str]] = WeakKeyDictionary()


class Browse(Protocol):
    """Open a page with a person before its camera, in a browser process of its own."""

    def __call__(
        self, person: int = 0, width: int = 1280, height: int = 800, color_scheme: ColorScheme | None = None
    ) -> Page: ...


def open_page(browser: Browser, width: int = 1280, height: int = 800, color_scheme: ColorScheme | None = None) -> Page:
    """Open a page that records its connections; `complaints_of` returns what it complains about."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=color_scheme)
    context.grant_permissions(["camera", "microphone", "clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.add_init_script(RECORD)
    complaints: list[str] = []
    _COMPLAINTS[page] = complaints
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda entry: complaints.append(entry.text) if entry.type == "error" else None)
    page.set_default_timeout(30_000)
    return page


def complaints_of(page: Page) -> list[str]:
    """Return the errors that a page has thrown or logged so far."""
    return _COMPLAINTS[page]


@contextmanager
def stopping(process: Process) -> Iterator[Process]:
    """Stop a process at the end."""
    try:
        yield process
    finally:
        process.stop()


def idle_share(seconds: float = 1.0) -> float:
    """Return which share of the machine's processor time nobody used for a while, 0 to 1."""

    def read() -> tuple[int, int]:
        ticks = [int(each) for each in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        return ticks[3] + ticks[4], sum(ticks)

    idle, everything = read()
    time.sleep(seconds)
    idle_after, everything_after = read()
    return (idle_after - idle) / max(1, everything_after - everything)
