"""The preview window on a screen of its own (Xvfb), with a real pointer and real keys; and what is said without one."""

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from cam_desk import Desk, until
from memory_devices import MemoryFrames

from client.cam.preview import Preview, PreviewedDevice
from realtime.cam.call import as_i420
from realtime.cam.modes import Mode
from realtime.face.tracker import MediaPipeTracker
from realtime.media_file import read_video

_NEEDS = [name for tool, name in (("Xvfb", "xvfb"), ("xdotool", "xdotool")) if shutil.which(tool) is None]
if find_spec("tkinter") is None:
    _NEEDS.append("python3-tk")
with_screen = pytest.mark.skipif(bool(_NEEDS), reason=f"apt-get install {' '.join(_NEEDS)}")
TITLE = "lipline preview"


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a screen of 800 by 600 of its own; the number of it is chosen by Xvfb."""
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert running.stdout is not None
    display = f":{running.stdout.readline().strip()}"
    monkeypatch.setenv("DISPLAY", display)
    yield display
    running.terminate()
    running.wait(90)
    running.stdout.close()


async def act(*command: str) -> str:
    running = await asyncio.create_subprocess_exec("xdotool", *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    told, complained = await running.communicate()
    assert running.returncode in (0, 1), complained
    return told.decode()


async def appeared(send: Callable[[], None]) -> str:
    """Send pictures until the window is there; return its number."""
    async with asyncio.timeout(90.0):
        while not (window := (await act("search", "--onlyvisible", "--name", TITLE)).strip()):
            send()
            await asyncio.sleep(0.05)
    return window


async def repeat(done: Callable[[], object], send: Callable[[], None], *command: str) -> None:
    """Send pictures and do what `command` says until it is done: the first time the window may show none yet."""
    async with asyncio.timeout(90.0):
        while not done():
            send()
            await act(*command)
            await asyncio.sleep(0.1)


@with_screen
async def test_a_click_follows_a_face_and_keys_choose_a_mode(screen: str) -> None:
    desk, said, sink = Desk(), list[str](), MemoryFrames((640, 480))
    watched, picture = PreviewedDevice(sink), np.full((720, 640), 128, np.uint8)
    async with Preview(desk.switch, lambda: "through | real 12 s", said.append) as preview:
        watched.look = preview.look
        window = await appeared(lambda: watched.send(picture))
        # The picture is 400 px wide; the second face lies at 200 to 300 of 640.
        click = ("mousemove", "--window", window, "156", "62", "click", "1")
        await repeat(lambda: desk.faces.asked, lambda: watched.send(picture), *click)
        places = [asked for asked in desk.faces.asked if not isinstance(asked, str)]
        assert places == desk.faces.asked and all(200 < x < 300 and 50 < y < 150 for x, y in places)
        await act("windowfocus", "--sync", window, "key", "a")
        await until(lambda: desk.call.mode is Mode.AWAY)
        await act("key", "q")
        await until(desk.ended.is_set)
    assert not said and (await act("search", "--name", TITLE)).strip() == ""


@with_screen
async def test_a_click_on_a_real_face_follows_it(screen: str, caller_clip: Path) -> None:
    image = next(read_video(caller_clip)).image
    head = cv2.resize(image[60:420, 140:500], (288, 288), interpolation=cv2.INTER_AREA)
    scene = np.full((320, 900, 3), 120, np.uint8)
    scene[16:304, 20:308] = head
    scene[16:304, 560:848] = 255 - (255 - head[:, ::-1, ::-1]) // 2  # another: mirrored, in other colours
    tracker = MediaPipeTracker()
    desk, sink = Desk(tracker, (900, 320)), MemoryFrames((900, 320))
    watched, times = PreviewedDevice(sink), itertools.count(0.0, 40.0)

    def send() -> None:
        tracker.track(scene, next(times))
        watched.send(as_i420(scene))

    def followed() -> float:
        [mark] = [mark for mark in desk.switch.marks if mark.followed]
        return mark.box[0] + mark.box[2]

    async with Preview(desk.switch, lambda: "through", desk.said.append) as preview:
        watched.look = preview.look
        window = await appeared(send)
        assert len(desk.switch.marks) == 2
        at_right = followed() > 900
        # The picture is 400 px wide: a click on who is not followed.
        click = ("mousemove", "--window", window, "73" if at_right else "313", "71", "click", "1")
        await repeat(lambda: (followed() > 900) is not at_right, send, *click)
        folder = os.environ.get("LIPLINE_BROWSER_OUT")
        if folder:
            send()
            await asyncio.sleep(0.5)
            shot = Path(folder) / "preview.png"
            grab = ("ffmpeg", "-v", "error", "-y", "-f", "x11grab", "-i", screen, "-frames:v", "1", str(shot))
            await (await asyncio.create_subprocess_exec(*grab)).wait()
    tracker.close()


@with_screen
async def test_a_closed_window_is_told_and_pictures_go_on(screen: str) -> None:
    desk, said, sink = Desk(), list[str](), MemoryFrames((640, 480))
    watched, picture = PreviewedDevice(sink), np.full((720, 640), 128, np.uint8)
    async with Preview(desk.switch, lambda: "away", said.append) as preview:
        watched.look = preview.look
        window = await appeared(lambda: watched.send(picture))
        await act("windowclose", window)
        await until(lambda: said)
        sent = len(sink.frames)
        watched.send(picture)
        assert len(sink.frames) == sent + 1
    assert said == ["the preview window is closed; the camera goes on"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a screen")
async def test_without_a_screen_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    desk, said = Desk(), list[str]()
    async with Preview(desk.switch, lambda: "", said.append) as preview:
        await until(lambda: said)
        preview.look(np.zeros((720, 640), np.uint8))
    [line] = said
    assert line.startswith("no preview window: ") and ("screen" in line or "tkinter" in line) and "\n" not in line
