"""What `lipline cam` is put together from: devices or files, the face, and where pictures and sound go."""

import argparse
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from client.cam.consent import require_consent
from client.doctor.checks import CALLER
from client.errors import UsageError
from models.errors import ModelError
from models.generator import Image
from models.hearing import Hearing
from realtime.cam.call import CameraRelay, Devices
from realtime.cam.filesound import FileSound, video_round_ms
from realtime.cam.modes import Mode
from realtime.cam.recorder import Recorder
from realtime.cam.stage import Photo, Stage
from realtime.clock import Clock
from realtime.devices.api import AudioSink, DeviceError, FrameSink, SoundSource
from realtime.face.badge import Badge
from realtime.face.worker import SynthWorker
from realtime.media_file import MediaError
from realtime.speech.voice import MouthGate
from realtime.threads import in_thread, opened_in_thread

if TYPE_CHECKING:
    from realtime.face.tracker import MediaPipeTracker

SIZE: Final = (640, 480)
FPS: Final = 25.0
NONE: Final = "none"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class CamParts:
    """All that a local call needs; `sends_to` says in words where it goes, `tracker` follows the face."""

    devices: Devices
    stage: Stage
    synth: SynthWorker
    hearing: Hearing
    fps: float
    card: Image
    sends_to: str
    gate: MouthGate | None
    tracker: "MediaPipeTracker"


def check_consent(options: argparse.Namespace) -> None:
    """Ask for every photo or clip that is made to speak; raises UsageError where it may not be used."""
    files = [options.photo] if options.photo else []
    if is_file(options.camera) and Path(options.camera).resolve() != CALLER.resolve():
        files.append(Path(options.camera))
    for path in files:
        require_consent(path, said_so=options.i_may_use_this)


def is_file(name: str | None) -> bool:
    """Return whether `name` is a clip and no device."""
    return bool(name) and Path(str(name)).is_file()


async def put_together(options: argparse.Namespace, stack: AsyncExitStack, clock: Clock, say: Say) -> CamParts:
    """Open everything; `stack` closes it in the right order.

    Raises:
        UsageError: with the remedy in one line.
    """
    # OpenCV's threads spin while they wait for each other: on two cores they cost more than they do.
    cv2.setNumThreads(1)
    try:
        camera = await opened_in_thread(partial(_open_camera, options, say), _close)
        if camera is not None:
            stack.push_async_callback(in_thread, camera.close)
        size = options.size or (camera.camera.size if camera is not None else SIZE)
        fps = options.fps or (min(max(camera.camera.fps, 5.0), 60.0) if camera is not None else FPS)
        photo = await in_thread(_open_photo, options.photo, size, say)
        stage, hearing, tracker = await in_thread(_open_stage, options.model, photo)
        synth = SynthWorker(stage)
        stack.push_async_callback(in_thread, synth.close)
        microphone, dub = _open_microphone(options, say), _open_dub(options.dub)
        pictures, sound, sends_to = await opened_in_thread(
            partial(_open_sinks, options, size, fps, clock, microphone is not None or dub is not None, say),
            _close_sinks,
        )
    except (DeviceError, MediaError, ModelError) as error:
        raise UsageError(str(error)) from error
    for source in (microphone, dub):
        if source is not None:
            stack.push_async_callback(in_thread, source.close)
    # What is pushed last is closed first: a file is whole before a device that hangs is waited for.
    for sink in {id(sink): sink for sink in (sound, pictures) if sink is not None}.values():
        stack.push_async_callback(in_thread, sink.close)
    devices = Devices(camera, microphone, dub, pictures, sound, size)
    card = _card(size, "No picture from the camera")
    gate = await in_thread(_open_gate, say)
    return CamParts(devices, stage, synth, hearing, fps, card, sends_to, gate, tracker)


def _close(opened: CameraRelay | FrameSink | AudioSink | None) -> None:
    if opened is not None:
        opened.close()


def _close_sinks(opened: tuple[FrameSink, AudioSink | None, str]) -> None:
    _close(opened[0])
    _close(opened[1])


def _open_camera(options: argparse.Namespace, say: Say) -> CameraRelay | None:
    """Open and start the camera; a photo that was asked for can do without."""
    from realtime.devices.camera import FileCamera, Webcam

    if options.camera is None and options.mode is Mode.PHOTO:
        return None
    if is_file(options.camera):
        relay = CameraRelay(FileCamera(options.camera))
    else:
        relay = CameraRelay(Webcam(options.camera or "", options.size or SIZE, options.fps or 30.0))
    try:
        relay.start()
    except DeviceError as error:
        if options.photo is None:
            raise
        say(f"no camera: {error}; the photo speaks alone")
        options.mode = Mode.PHOTO
        return None
    return relay


def _open_photo(path: Path | None, size: tuple[int, int], say: Say) -> Photo | None:
    if path is None:
        return None
    from realtime.photo.portrait import load_portrait
    from realtime.photo.portrait_file import PortraitError

    try:
        portrait = load_portrait(path, size)
    except PortraitError as error:
        raise UsageError(str(error)) from error
    for note in portrait.notes:
        say(note)
    return portrait


def _open_stage(model: str, photo: Photo | None) -> "tuple[Stage, Hearing, MediaPipeTracker]":
    from models.catalog import open_generator
    from realtime.face.synth import FaceSynth
    from realtime.face.tracker import MediaPipeTracker
    from realtime.photo.portrait import make_ready

    generator, tracker = open_generator(model, threads=1), MediaPipeTracker()
    if photo is not None:
        make_ready(photo, generator)
    return Stage(FaceSynth(generator, tracker), photo), generator.hearing, tracker


def _open_gate(say: Say) -> MouthGate | None:
    """Open what tells speech from music and other people; without it loudness moves the lips."""
    from models.near.onnx import NearVoice
    from models.vad import VoiceDetector
    from realtime.speech.voice import VoiceGate

    try:
        return VoiceGate(VoiceDetector(), NearVoice())
    except ModelError as error:
        say(f"{error}; until then any sound moves the lips")
        return None


def _open_microphone(options: argparse.Namespace, say: Say) -> SoundSource | None:
    from realtime.devices.sound import Microphone

    name = options.microphone
    if name == NONE:
        return None
    if name is None and is_file(options.camera):
        try:
            return FileSound(options.camera, round_ms=video_round_ms(options.camera))
        except MediaError:
            say(f"{options.camera} has no sound: the mouth rests")
            return None
    return FileSound(name) if is_file(name) else Microphone(name or "")


def _open_dub(name: str | None) -> SoundSource | None:
    from realtime.devices.sound import Microphone

    if name is None:
        return None
    return FileSound(name) if is_file(name) else Microphone(name)


def _open_sinks(
    options: argparse.Namespace, size: tuple[int, int], fps: float, clock: Clock, heard: bool, say: Say
) -> tuple[FrameSink, AudioSink | None, str]:
    """Open the file that was asked for, or the virtual camera and, where somebody is heard, the virtual microphone."""
    if options.out is not None:
        recorder = Recorder(options.out, size, fps, clock)
        return recorder, recorder, f"the file {options.out}"
    from realtime.devices.virtual_camera import VirtualCamera
    from realtime.devices.virtual_microphone import VirtualMicrophone

    pictures = VirtualCamera(size, fps)
    if not heard:
        return pictures, None, f"the camera {pictures.name!r}"
    try:
        sound = VirtualMicrophone(on_lost=lambda error: say(f"the virtual microphone is gone: {error}"))
    except DeviceError as error:
        say(f"no virtual microphone ({error}): others hear your own, and synthetic lips are seen late")
        return pictures, None, f"the camera {pictures.name!r}"
    return pictures, sound, f"the camera {pictures.name!r} and the microphone {sound.name!r}"


def _card(size: tuple[int, int], text: str) -> Image:
    """Return a grey picture that says `text`."""
    return Badge(text).draw(np.full((size[1], size[0], 3), 48, np.uint8))
