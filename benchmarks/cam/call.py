"""Run a local call of the bundled caller as `lipline cam` does, from files to nowhere, and note what leaves."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import cv2

from benchmarks.cam.soak import CamWatch, OffClockSound
from client.doctor.checks import CALLER
from models.catalog import open_generator
from models.near.onnx import NearVoice
from models.vad import VoiceDetector
from realtime.cam.call import CameraRelay, Devices, LocalCall
from realtime.cam.filesound import FileSound, video_round_ms
from realtime.cam.output import Picture
from realtime.cam.stage import Stage
from realtime.clock import MonotonicClock
from realtime.devices.api import CameraFrame, OnFrame, OnLost, Pixels, Samples
from realtime.devices.camera import FileCamera
from realtime.face.synth import FaceSynth
from realtime.face.tracker import MediaPipeTracker
from realtime.face.worker import SynthWorker
from realtime.media_file import read_video
from realtime.photo.portrait import load_portrait, make_ready
from realtime.speech.voice import VoiceGate
from realtime.threads import in_thread

Call = TypeVar("Call", bound=LocalCall)


class SlowCamera(FileCamera):
    """A clip whose pictures come `late_ms` after they were taken, as those of real cameras do; it can be covered."""

    def __init__(self, path: Path, late_ms: float) -> None:
        super().__init__(path)
        self.gone, self.given, self._late_ms = False, 0, late_ms

    def start(self, on_frame: OnFrame, on_lost: OnLost) -> None:
        """Begin."""

        def give(frame: CameraFrame) -> None:
            if not self.gone:
                self.given += 1
                on_frame(CameraFrame(frame.image, frame.i420, frame.captured_ms - self._late_ms))

        super().start(give, on_lost)


class Nowhere:
    """A camera and a microphone to send to that forget what they get."""

    latency_ms = 0.0

    def send(self, i420: Pixels) -> None:
        """Forget a picture."""

    def put(self, block: Samples) -> None:
        """Forget a block."""

    def close(self) -> None:
        """Do nothing."""


class MeasuredCall(LocalCall):
    """A call that remembers when what left: time in ms, kind, latency in ms or None, skew in ms."""

    def _send(self, picture: Picture) -> None:
        super()._send(picture)
        now_ms = self._clock.now_ms()
        latency_ms = None if picture.arrived_ms is None else now_ms - picture.arrived_ms
        self.__dict__.setdefault("left", []).append((now_ms, picture.kind, latency_ms, picture.skew_ms))


class WatchedCall(LocalCall):
    """A call that shows `watch` what leaves, once it is set."""

    watch: CamWatch | None = None

    def _send(self, picture: Picture) -> None:
        super()._send(picture)
        if self.watch is not None:
            self.watch.see(picture)


@asynccontextmanager
async def running(
    kind: type[Call],
    size: tuple[int, int] | None,
    late_ms: float,
    *,
    ppm: float = 0.0,
    photo: Path | None = None,
    dub: Path = CALLER,
) -> AsyncIterator[tuple[Call, SlowCamera, SynthWorker]]:
    """Run a local call of the bundled caller, from files to nowhere; the microphone's clock is `ppm` fast.

    Without `photo` a picture of the caller speaks.
    """
    cv2.setNumThreads(1)
    camera = SlowCamera(CALLER, late_ms)
    size = size or camera.size
    relay, nowhere = CameraRelay(camera), Nowhere()
    generator = open_generator("lite", threads=1)
    with tempfile.TemporaryDirectory() as folder:
        portrait = load_portrait(photo or _photo(Path(folder)), size)
    make_ready(portrait, generator)
    stage = Stage(FaceSynth(generator, MediaPipeTracker()), portrait)
    synth = SynthWorker(stage)
    microphone, other = OffClockSound(CALLER, ppm, video_round_ms(CALLER)), FileSound(dub)
    devices = Devices(relay, microphone, other, nowhere, nowhere, size)
    gate = VoiceGate(VoiceDetector(), NearVoice())
    call = kind(devices, generator.hearing, synth, stage, MonotonicClock(), fps=camera.fps, gate=gate)
    relay.start()
    task = asyncio.create_task(call.run())
    try:
        yield call, camera, synth
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for part in (microphone, other, relay, synth):
            await in_thread(part.close)


def _photo(folder: Path) -> Path:
    path = folder / "photo.png"
    frame = next(frame for index, frame in enumerate(read_video(CALLER)) if index == 30)
    cv2.imwrite(str(path), frame.image)
    return path
