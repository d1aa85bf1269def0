"""Real Chromium with a talking face for a camera, and `lipline serve` as a real process.

What a run leaves (figures as JSON, screenshots) goes to `$LIPLINE_BROWSER_OUT`, or to pytest's temporary folder.
"""

import asyncio
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from client.serve.pages import page as bundled
from signaling.rooms import Rooms
from signaling.server import SignalingServer

if TYPE_CHECKING:
    from browser_hosts import Browse, ColorScheme, Face, Served
    from playwright.sync_api import Page, Playwright

CHROMIUM = shutil.which("chromium")
if find_spec("playwright") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session", autouse=True)
def chromium() -> str:
    """Return the path of the browser."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium on the path: apt-get install chromium")
    return CHROMIUM


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory, caller_clip: Path) -> "tuple[Face, Face]":
    """Make two people of the bundled clip: as it is, and mirrored, tinted and half the clip later."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("there is no ffmpeg to make the camera's file with: apt-get install ffmpeg")
    from browser_hosts import FPS, SIZE, make_face

    folder = tmp_path_factory.mktemp("faces")
    scale = f"fps={FPS},scale={SIZE.replace('x', ':')}"
    return (
        make_face(folder, "first", caller_clip, scale, "0"),
        make_face(folder, "second", caller_clip, f"{scale},hflip,hue=h=35", "12"),
    )


@pytest.fixture
def served() -> "Iterator[Served]":
    """Run `lipline serve` on a free port for one test; nothing of ours may have logged an error by its end."""
    from browser_hosts import BUSY, TOKEN, Process, Served, idle_share

    idle = idle_share()
    if idle < BUSY and not os.environ.get("LIPLINE_BROWSER_BUSY"):
        pytest.skip(
            f"others leave {idle:.0%} of the machine idle, too little for a call; LIPLINE_BROWSER_BUSY=1 insists"
        )
    process = Process("serve", "--port", "0", "--token", TOKEN)
    try:
        line = process.wait_for("join with")
        port = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert port is not None, line
        yield Served(int(port[1]), idle)
    finally:
        told = process.stop()
    assert not re.search(r" (ERROR|CRITICAL) (client|models|realtime|signaling)\b", told), told


@pytest.fixture(scope="session")
def port() -> Iterator[int]:
    """Serve the page and its rooms, with no node in them."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop, found = asyncio.Event(), [0]

    async def serve() -> None:
        async with SignalingServer(Rooms(), port=0, pages=bundled) as server:
            found[0] = server.port
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield found[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


@pytest.fixture
def playwright() -> Iterator["Playwright"]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        yield started


@pytest.fixture
def browse(playwright: "Playwright", chromium: str, faces: "tuple[Face, Face]") -> "Iterator[Browse]":
    """Give what opens a page in a browser process of its own, which is closed when the test ends."""
    from browser_hosts import FLAGS, open_page

    with ExitStack() as stack:

        def start(
            person: int = 0, width: int = 1280, height: int = 800, color_scheme: "ColorScheme | None" = None
        ) -> "Page":
            face = faces[person]
            files = (
                f"--use-file-for-fake-video-capture={face.video}",
                f"--use-file-for-fake-audio-capture={face.audio}",
            )
            browser = playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, *files])
            stack.callback(browser.close)
            return open_page(browser, width, height, color_scheme)

        yield start


@pytest.fixture
def out(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Return the folder for figures and screenshots."""
    folder = os.environ.get("LIPLINE_BROWSER_OUT")
    where = Path(folder) if folder else tmp_path
    where.mkdir(parents=True, exist_ok=True)
    return where
