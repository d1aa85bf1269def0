"""Join devices to a local call: their threads hand over to one event loop, which does everything else."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import cv2
import numpy as np

from models.generator import Image
from models.hearing import Hearing
from realtime.cam.modes import Mode, Voice
from realtime.cam.output import CamStatus, Picture
from realtime.cam.path import CamConfig, CamPath
from realtime.cam.stage import Stage
from realtime.clock import Clock, beat
from realtime.devices.api import AudioSink, Camera, CameraFrame, DeviceError, FrameSink, Pixels, Samples, SoundSource
from realtime.media import BLOCK_MS
from realtime.picture.synth_api import Synthesizer
from realtime.speech.voice import MouthGate
from realtime.tasks import first_to_end

_LATE: Final = 0.5
"""A tick that is later than this share of an interval keeps no beat."""


class CameraRelay:
    """A camera that is started before the call and passes its pictures on in one size. Any thread."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self._lock = threading.Lock()
        self._take: Callable[[CameraFrame], None] | None = None
        self._lost: Callable[[DeviceError], None] | None = None
        self._size: tuple[int, int] | None = None

    def start(self) -> None:
        """Start the camera, so that its size and rate are known; raises DeviceError."""
        self.camera.start(self._on_frame, self._on_lost)

    def attach(
        self, size: tuple[int, int], take: Callable[[CameraFrame], None], lost: Callable[[DeviceError], None]
    ) -> None:
        """Pass pictures of `size` (width, height) to `take` from now on."""
        with self._lock:
            self._size, self._take, self._lost = size, take, lost

    def close(self) -> None:
        """Stop the camera."""
        with self._lock:
            self._take = self._lost = None
        self.camera.close()

    def _on_frame(self, frame: CameraFrame) -> None:
        with self._lock:
            take, size = self._take, self._size
        if take is not None and size is not None:
            take(fitted(frame, size))

    def _on_lost(self, error: DeviceError) -> None:
        with self._lock:
            lost = self._lost
        if lost is not None:
            lost(error)


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices of a local call; None where there is none.

    Attributes:
        camera: the camera, already started.
        microphone: the person's own microphone.
        dub: the source of another voice.
        pictures: the sink of the pictures that leave.
        sound: the sink of the sound that leaves; None where others hear the microphone itself.
        size: width and height of every picture, in px.
    """

    camera: CameraRelay | None
    microphone: SoundSource | None
    dub: SoundSource | None
    pictures: FrameSink
    sound: AudioSink | None
    size: tuple[int, int]


class LocalCall:
    """Run a local call on one event loop. `say` receives a line for the person when something happens to a device."""

    def __init__(
        self,
        devices: Devices,
        hearing: Hearing,
        synth: Synthesizer | None,
        stage: Stage,
        clock: Clock,
        *,
        fps: float,
        mode: Mode = Mode.THROUGH,
        card: Image | None = None,
        gate: MouthGate | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self._devices, self._stage, self._clock, self._say = devices, stage, clock, say
        config = CamConfig(fps=fps, hears_us=devices.sound is not None)
        now_ms = clock.now_ms()
        self.path = CamPath(
            hearing, synth, stage, on_picture=self._send, on_block=self._put, config=config, start_ms=now_ms, gate=gate
        )
        self.path.card = card
        self.path.set_mode(mode, now_ms)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._over: asyncio.Future[None] | None = None
        self._waiting: tuple[CameraFrame, float] | None = None
        self._lock = threading.Lock()
        self._seen = False

    # --- what the person does ----------------------------------------------------------------------------------------

    def choose(self, mode: Mode) -> str | None:
        """Switch to `mode`; return None, or one line that says why it cannot be."""
        reason = self.refusal(mode)
        if reason is None and mode is not self.path.mode:
            self.path.set_mode(mode, self._clock.now_ms())
            self._arm()
        return reason

    def refusal(self, mode: Mode) -> str | None:
        """Return one line that says why `mode` cannot be chosen now; None when it can."""
        devices = self._devices
        if mode is Mode.PHOTO:
            return None if self._stage.photo is not None else "there is no photo: start with --photo FILE"
        if devices.camera is None:
            return "the camera was not opened: start with --camera NAME"
        if not self._seen:
            return "the camera has given no picture yet"
        if mode is Mode.DUB and devices.dub is None:
            return "there is no other voice: start with --dub DEVICE or --dub FILE"
        if mode is Mode.DUB and devices.sound is None:
            return "the other voice can leave only by a virtual microphone; `lipline doctor` says how to get one"
        return None

    def status(self) -> CamStatus:
        """Return what is shown at this moment."""
        return self.path.status(self._clock.now_ms())

    # --- running -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            DeviceError: what takes the pictures went away.
        """
        self._loop = asyncio.get_running_loop()
        self._over = self._loop.create_future()
        devices = self._devices
        if devices.camera is not None:
            devices.camera.attach(devices.size, self._frame_came, self._camera_lost)
        self._listen(devices.microphone, Voice.MICROPHONE, "microphone")
        self._listen(devices.dub, Voice.DUB, "other voice")
        self._arm()
        try:
            await first_to_end(self._over, beat(self._clock, BLOCK_MS, self._play, self.path.skip))
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._loop = None

    def _listen(self, source: SoundSource | None, voice: Voice, name: str) -> None:
        if source is None:
            return
        try:
            source.start(partial(self._block_came, voice), lambda error: self._tell(f"the {name} is gone: {error}"))
        except DeviceError as error:
            self._say(f"no {name}: {error}; the mouth rests")

    def _play(self, due_ms: float) -> None:
        sink = self._devices.sound
        self.path.play(due_ms, 0.0 if sink is None else sink.latency_ms)
        self._arm()

    def _arm(self) -> None:
        """Schedule the next tick at the time that the path names."""
        if self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        wait_ms = max(0.0, self.path.next_tick_ms - self._clock.now_ms())
        self._timer = self._loop.call_later(wait_ms / 1000.0, self._guard, self._tick)

    def _tick(self) -> None:
        now_ms, due_ms = self._clock.now_ms(), self.path.next_tick_ms
        if now_ms >= due_ms:
            on_beat = now_ms - due_ms < _LATE * self.path.engine.config.interval_ms
            self.path.tick(due_ms if on_beat else now_ms)
        self._arm()

    def _guard(self, work: Callable[[], None]) -> None:
        """Run a callback of the loop; an exception ends the call."""
        try:
            work()
        except Exception as error:
            if self._over is not None and not self._over.done():
                self._over.set_exception(error)

    # --- from the devices' threads -----------------------------------------------------------------------------------

    def _soon(self, work: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._guard, work)

    def _frame_came(self, frame: CameraFrame) -> None:
        with self._lock:
            waits = self._waiting is not None
            self._waiting = (frame, self._clock.now_ms())
        if not waits:
            self._soon(self._take_frame)

    def _take_frame(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._seen = True
            self.path.camera_frame(*waiting)
            self._arm()

    def _block_came(self, voice: Voice, block: Samples, captured_ms: float) -> None:
        self._soon(lambda: self.path.sound_block(voice, block, captured_ms, self._clock.now_ms()))

    def _camera_lost(self, error: DeviceError) -> None:
        self._tell(f"the camera is gone: {error}")

    def _tell(self, text: str) -> None:
        self._soon(lambda: self._say(text))

    # --- out ---------------------------------------------------------------------------------------------------------

    def _send(self, picture: Picture) -> None:
        self._devices.pictures.send(as_i420(picture.image) if picture.i420 is None else picture.i420)
        if picture.arrived_ms is not None:
            self.path.latency.add(self._clock.now_ms() - picture.arrived_ms)

    def _put(self, block: Samples) -> None:
        if self._devices.sound is not None:
            self._devices.sound.put(block)


def as_i420(image: Image) -> Pixels:
    """Return (H, W, 3) BGR of even size as (H * 3 // 2, W) I420 in video range."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)


def fitted(frame: CameraFrame, size: tuple[int, int]) -> CameraFrame:
    """Return `frame` in `size` (width, height): unchanged where it has that size, else scaled and cut to fill it."""
    width, height = size
    image = frame.image
    if image.shape[:2] == (height, width) and frame.i420 is not None:
        return frame
    scale = max(width / image.shape[1], height / image.shape[0])
    inner = max(width, round(image.shape[1] * scale)), max(height, round(image.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    scaled = cv2.resize(image, inner, interpolation=how)
    x, y = (inner[0] - width) // 2, (inner[1] - height) // 2
    cut = np.ascontiguousarray(scaled[y : y + height, x : x + width], dtype=np.uint8)
    return CameraFrame(cut, as_i420(cut), frame.captured_ms)
