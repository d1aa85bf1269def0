"""The in-memory devices keep to the protocols."""

import numpy as np
import pytest
from memory_devices import MemoryCamera, MemoryFrames, MemorySound, MemorySource

from realtime.devices.api import AudioSink, Camera, CameraFrame, DeviceError, Fault, FrameSink, SoundSource


def test_a_camera_gives_what_it_is_handed_until_closed() -> None:
    made = MemoryCamera()
    camera: Camera = made
    seen: list[CameraFrame] = []
    lost: list[DeviceError] = []
    camera.start(seen.append, lost.append)
    frame = CameraFrame(np.zeros((480, 640, 3), np.uint8), None, 5.0)
    made.push(frame)
    made.lose(DeviceError(Fault.MISSING, "unplugged"))
    camera.close()
    made.push(frame)
    assert seen == [frame]
    assert [error.fault for error in lost] == [Fault.MISSING]


def test_frames_are_kept_as_they_were_sent() -> None:
    made = MemoryFrames((64, 48), limit=2)
    sink: FrameSink = made
    picture = np.zeros((72, 64), np.uint8)
    for level in (1, 2, 3):
        picture[:] = level
        sink.send(picture)
    assert [int(frame[0, 0]) for frame in made.frames] == [2, 3]
    with pytest.raises(ValueError, match="64x48"):
        sink.send(np.zeros((48, 64), np.uint8))


def test_sound_comes_in_blocks_of_20_ms() -> None:
    made = MemorySource()
    source: SoundSource = made
    kept = MemorySound()
    sink: AudioSink = kept
    source.start(lambda block, captured_ms: sink.put(block))
    made.push(np.full(960, 7, np.int16), 0.0)
    assert int(kept.blocks[0][0]) == 7
    with pytest.raises(ValueError, match="960"):
        sink.put(np.zeros(480, np.int16))
