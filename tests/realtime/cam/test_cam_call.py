"""The local call on an event loop, with devices of memory: in threads of their own, or all in virtual time.

Where a test says what real pictures look like, no picture may be late: it runs in virtual time. Where frames are drawn,
a thread draws them, and the test waits for what is shown.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from cam_simulation import WINDOW
from memory_devices import MemoryCamera, MemoryFrames, MemorySound, MemorySource
from synth_fakes import drawn
from virtual_time import LoopClock, in_virtual_time

from models.generator import Image
from models.mel import Mel
from realtime.cam.call import CameraRelay, Devices, LocalCall, as_i420, fitted
from realtime.cam.modes import Mode
from realtime.cam.stage import Photo, Stage
from realtime.clock import Clock, MonotonicClock
from realtime.devices.api import CameraFrame, DeviceError, Fault, Pixels, SoundSource
from realtime.face.posepath import PoseSource
from realtime.face.worker import SynthWorker
from realtime.picture.synth_api import Drawn, HeardFrame, Learned, Seen

SIZE = (64, 48)


class Face:
    """Draw grey for past frames, black for lips over the camera."""

    def observe(self, image: Image, media_ms: float) -> Seen:
        return Seen(True, None, None)

    def learn(self, heard: Sequence[HeardFrame]) -> Learned:
        return Learned()

    def start(self, media_ms: float, pose: PoseSource | None = None) -> None:
        pass

    def render(self, mel_window: Mel | None, media_ms: float, *, speech: bool) -> Drawn:
        return drawn(np.full((SIZE[1], SIZE[0], 3), 128, np.uint8))

    def overlay(self, real_image: Image, mel_window: Mel | None, media_ms: float, *, speech: bool) -> Drawn:
        return drawn(np.zeros_like(real_image))

    def hand_back(self, real_image: Image, media_ms: float, progress: float) -> Drawn:
        return drawn(real_image)

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


class Feed(threading.Thread):
    """Give pictures and sound as devices do, from a thread."""

    def __init__(self, camera: MemoryCamera, microphone: MemorySource, clock: Clock) -> None:
        super().__init__(daemon=True)
        self.camera, self.microphone, self.clock = camera, microphone, clock
        self.sent: list[Pixels] = []
        self.count, self.pictures, self.over = 0, True, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.02):
            self.give()

    async def run_on_loop(self) -> None:
        """Do the same as a task."""
        while True:
            await asyncio.sleep(0.02)
            self.give()

    def give(self) -> None:
        """Give 20 ms of sound, and every other time a picture."""
        size, now_ms = self.camera.size, self.clock.now_ms()
        self.microphone.push(np.full(960, 1000, np.int16), now_ms - 20.0)
        self.count += 1
        if self.pictures and self.count % 2:
            i420 = np.full((size[1] * 3 // 2, size[0]), self.count % 200, np.uint8)
            self.sent.append(i420)
            self.camera.push(CameraFrame(np.full((size[1], size[0], 3), 200, np.uint8), i420, now_ms))


class Running:
    def __init__(
        self,
        *,
        camera_size: tuple[int, int] = SIZE,
        photo: Photo | None = None,
        dub: SoundSource | None = None,
        sound: bool = True,
        pictures: MemoryFrames | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Make a call; with a `clock` the devices are tasks of the loop whose time it tells."""
        self.on_loop, clock = clock is not None, clock or MonotonicClock()
        self.camera, self.microphone = MemoryCamera(size=camera_size, fps=25.0), MemorySource()
        self.pictures, self.sound = pictures or MemoryFrames(SIZE), MemorySound()
        self.relay = CameraRelay(self.camera)
        self.relay.start()
        self.said: list[str] = []
        stage = Stage(Face(), photo)
        self.synth = SynthWorker(stage)
        devices = Devices(self.relay, self.microphone, dub, self.pictures, self.sound if sound else None, SIZE)
        self.call = LocalCall(devices, WINDOW, self.synth, stage, clock, fps=25.0, say=self.said.append)
        self.feed = Feed(self.camera, self.microphone, clock)
        self.tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Running":
        self.tasks.append(asyncio.create_task(self.call.run()))
        if self.on_loop:
            self.tasks.append(asyncio.create_task(self.feed.run_on_loop()))
        else:
            self.feed.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.feed.over.set()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.relay.close()
        self.synth.close()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(90.0):
            while not condition():  # noqa: ASYNC110 - threads change it
                await asyncio.sleep(0.02)

    def shows(self, value: int) -> bool:
        return bool(self.pictures.frames) and int(self.pictures.frames[-1][0, 0]) == value


GREY = int(as_i420(np.full((4, 4, 3), 128, np.uint8))[0, 0])


@in_virtual_time
async def test_pictures_leave_as_they_came_and_sound_with_them() -> None:
    async with Running(clock=LoopClock()) as running:
        await running.until(lambda: running.pictures.sent >= 15 and len(running.sound.blocks) >= 30)
        sent = [int(picture[0, 0]) for picture in running.pictures.frames]
        assert sent == [int(picture[0, 0]) for picture in running.feed.sent][: len(sent)]
        assert any(block.max() == 1000 for block in running.sound.blocks)
        assert running.call.status().state == "real" and not running.said


async def test_a_camera_that_stalls_is_drawn_and_comes_back() -> None:
    async with Running() as running:
        await running.until(lambda: running.pictures.sent >= 15)
        running.feed.pictures = False
        running.camera.lose(DeviceError(Fault.MISSING, "unplugged"))
        await running.until(lambda: running.shows(GREY))
        assert running.said == ["the camera is gone: unplugged"]
        running.feed.pictures = True
        await running.until(lambda: running.call.status().state == "real")


async def test_modes_that_cannot_be_are_refused_with_what_they_need() -> None:
    async with Running(sound=False, dub=MemorySource()) as running:
        assert "no picture yet" in (running.call.choose(Mode.AWAY) or "")
        await running.until(lambda: running.pictures.sent >= 12)
        assert "--photo" in (running.call.choose(Mode.PHOTO) or "")
        assert "virtual microphone" in (running.call.choose(Mode.DUB) or "")
        assert running.call.status().mode is Mode.THROUGH
        assert running.call.choose(Mode.AWAY) is None
        await running.until(lambda: running.shows(GREY))
        assert running.call.choose(Mode.THROUGH) is None
        await running.until(lambda: running.call.status().state == "real")


async def test_the_dub_is_over_the_camera() -> None:
    dub = MemorySource()
    async with Running(dub=dub) as running:
        await running.until(lambda: running.pictures.sent >= 12)
        assert running.call.choose(Mode.DUB) is None
        black = int(as_i420(np.zeros((4, 4, 3), np.uint8))[0, 0])
        await running.until(lambda: running.shows(black))

        def heard() -> bool:
            # Again and again: a block that a busy machine brings too late is not heard.
            dub.push(np.full(960, -7000, np.int16), time.monotonic() * 1000.0)
            return any(block.min() <= -6000 for block in running.sound.blocks)

        await running.until(heard)


async def test_a_sink_that_goes_away_ends_the_call() -> None:
    class Broken(MemoryFrames):
        def send(self, i420: Pixels) -> None:
            raise DeviceError(Fault.MISSING, "the virtual camera was taken away")

    running = Running(pictures=Broken(SIZE))
    running.feed.start()
    try:
        with pytest.raises(DeviceError, match="taken away"):
            await asyncio.wait_for(running.call.run(), 90.0)
    finally:
        running.feed.over.set()
        await asyncio.to_thread(running.synth.close)


async def test_a_microphone_that_cannot_be_opened_is_told_and_pictures_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running()

    def refuse(*_: object) -> None:
        raise DeviceError(Fault.BUSY, "it is in use")

    monkeypatch.setattr(running.microphone, "start", refuse)
    async with running:
        await running.until(lambda: running.pictures.sent >= 12)
        assert running.said == ["no microphone: it is in use; the mouth rests"]


@in_virtual_time
async def test_pictures_of_another_size_are_made_to_fit() -> None:
    async with Running(camera_size=(160, 96), clock=LoopClock()) as running:
        await running.until(lambda: running.pictures.sent >= 5)
        assert {picture.shape for picture in running.pictures.frames} == {(SIZE[1] * 3 // 2, SIZE[0])}
        assert all(picture[:48].min() > GREY for picture in running.pictures.frames), "the camera's, to the edges"


@pytest.mark.parametrize("size", [(160, 96), (32, 48), (63, 47), (64, 48)])
def test_fitting_fills_the_picture(size: tuple[int, int]) -> None:
    image = np.full((size[1], size[0], 3), 77, np.uint8)
    frame = fitted(CameraFrame(image, None, 5.0), SIZE)
    assert frame.image.shape == (48, 64, 3) and (frame.image == 77).all() and frame.captured_ms == 5.0
    assert frame.i420 is not None and frame.i420.shape == (72, 64)


def test_a_picture_that_fits_is_left_alone() -> None:
    frame = CameraFrame(np.zeros((48, 64, 3), np.uint8), np.zeros((72, 64), np.uint8), 1.0)
    assert fitted(frame, SIZE) is frame
