"""A device that stops giving is told of once and opened again by name; the newest picture wins."""

import threading
from pathlib import Path

import numpy as np
import pytest

from realtime.devices.api import CameraFrame, DeviceError, Fault
from realtime.devices.camera import FileCamera, WatchedCamera
from realtime.devices.watch import Handover, Restarted, Watch

GONE = DeviceError(Fault.MISSING, "unplugged")


class Plug:
    """A device that a test plugs in and out."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self.plugged = True
        self.opened = self.closed = 0
        self.error: DeviceError = GONE

    def open(self) -> "Plug":
        if not self.plugged:
            raise GONE
        self.opened += 1
        return self

    def read(self) -> int | None:
        if not self.plugged:
            raise self.error
        return self.items.pop(0) if self.items else None

    def close(self) -> None:
        self.closed += 1


class Seen:
    def __init__(self) -> None:
        self.plug = Plug()
        self.items: list[int] = []
        self.losses: list[DeviceError] = []
        self.now_ms = 0.0
        self.watch = Watch(
            self.plug.open(), self.plug.open, self.items.append, self.losses.append,
            name="cam", now_ms=0.0,
        )  # fmt: skip

    def run(self, until_ms: float) -> None:
        while self.now_ms < until_ms:
            self.now_ms += max(self.watch.step(self.now_ms), 0.5)


def test_items_pass_in_order() -> None:
    seen = Seen()
    seen.plug.items = [1, 2, 3]
    seen.run(10.0)
    assert seen.items == [1, 2, 3] and seen.losses == []


def test_an_unplugged_device_is_told_once_and_found_again() -> None:
    seen = Seen()
    seen.plug.plugged = False
    seen.run(10_000.0)
    assert seen.losses == [GONE] and seen.plug.closed == 1
    seen.plug.plugged = True
    seen.plug.items = [7]
    seen.run(12_000.0)
    assert seen.items == [7] and seen.plug.opened == 2
    seen.plug.plugged = False
    seen.run(13_000.0)
    assert len(seen.losses) == seen.watch.outages == 2


def test_a_device_that_is_gone_is_looked_for_slowly() -> None:
    seen = Seen()
    tries: list[float] = []

    def fail() -> Plug:
        tries.append(seen.now_ms)
        raise GONE

    seen.watch = Watch(seen.plug, fail, seen.items.append, seen.losses.append, name="cam", now_ms=0.0)
    seen.plug.plugged = False
    seen.run(10_000.0)
    assert 9 <= len(tries) <= 11


def test_a_stall_is_told_once_and_the_device_opened_anew() -> None:
    seen = Seen()
    seen.plug.items = [1]
    seen.run(900.0)
    assert seen.losses == []
    seen.run(9_000.0)
    assert [loss.fault for loss in seen.losses] == [Fault.STALLED]
    assert 2 <= seen.plug.opened <= 4
    seen.plug.items = [2]
    seen.run(9_100.0)
    assert seen.items == [1, 2]


def test_devices_listed_anew_are_no_outage() -> None:
    seen = Seen()
    seen.plug.error = Restarted(Fault.STALLED, "listed anew")
    seen.plug.plugged = False
    seen.watch.step(0.0)
    seen.plug.plugged = True
    seen.plug.items = [1]
    seen.run(20.0)
    assert seen.items == [1] and seen.losses == [] and seen.watch.outages == 0


def test_the_newest_wins_and_a_loss_is_not_overtaken() -> None:
    handover: Handover[int] = Handover()
    for given in (1, 2, GONE, GONE, 3, 4):
        handover.put(given)
    assert [handover.take() for _ in range(3)] == [2, GONE, 4]
    assert handover.dropped == 2
    handover.close()
    assert handover.take() is None


def test_a_deeper_queue_drops_the_oldest() -> None:
    handover: Handover[int] = Handover(depth=3)
    for given in range(5):
        handover.put(given)
    assert [handover.take() for _ in range(3)] == [2, 3, 4]


class Stills:
    name, size, fps = "stills", (4, 2), 30.0

    def __init__(self) -> None:
        self.count = 0
        self.many = threading.Event()
        self.closed = False

    def read(self) -> CameraFrame | None:
        if self.count >= 100:
            return None
        self.count += 1
        if self.count == 50:
            self.many.set()
        return CameraFrame(np.full((2, 4, 3), self.count, np.uint8), None, float(self.count))

    def close(self) -> None:
        self.closed = True


def test_a_slow_viewer_gets_the_newest_picture_and_none_after_closing() -> None:
    stills = Stills()
    camera = WatchedCamera(lambda: stills, name="", size=(4, 2), fps=30.0)
    shown: list[float] = []
    last = threading.Event()

    def look(frame: CameraFrame) -> None:
        shown.append(frame.captured_ms)
        assert stills.many.wait(90.0)
        if frame.captured_ms == 100.0:
            last.set()

    camera.start(look, lambda error: None)
    assert last.wait(90.0)
    camera.close()
    camera.close()
    assert shown == sorted(shown) and len(shown) + camera.dropped == 100
    assert camera.dropped >= 40 and stills.closed and camera.name == "stills"


def test_a_camera_that_cannot_be_opened_says_so_at_once() -> None:
    def fail() -> Stills:
        raise GONE

    with pytest.raises(DeviceError, match="unplugged"):
        WatchedCamera(fail, name="", size=(4, 2), fps=30.0).start(lambda frame: None, lambda error: None)


def test_a_clip_plays_as_a_camera_would(caller_clip: Path) -> None:
    camera = FileCamera(caller_clip)
    frames: list[CameraFrame] = []
    enough = threading.Event()

    def look(frame: CameraFrame) -> None:
        frames.append(frame)
        if len(frames) >= 4:
            enough.set()

    camera.start(look, lambda error: None)
    assert enough.wait(90.0)
    camera.close()
    width, height = camera.size
    assert frames[0].image.shape == (height, width, 3)
    assert frames[0].i420 is not None and frames[0].i420.shape == (height * 3 // 2, width)
    assert all(b.captured_ms > a.captured_ms for a, b in zip(frames, frames[1:], strict=False))
