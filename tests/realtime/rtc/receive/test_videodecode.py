import threading
import time
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from realtime.rtc.receive.assemble import EncodedFrame
from realtime.rtc.receive.videodecode import QUEUE_FRAMES, VideoDecoder


def encode(name: str, encoder: str, count: int) -> list[EncodedFrame]:
    codec = av.CodecContext.create(encoder, "w")
    assert isinstance(codec, VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = 160, 120, "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, 25), Fraction(25)
    codec.options = {"tune": "zerolatency"} if encoder == "libx264" else {"deadline": "realtime", "lag-in-frames": "0"}
    frames = []
    for i in range(count):
        picture = av.VideoFrame.from_ndarray(np.full((120, 160, 3), 10 * i, np.uint8), format="bgr24")
        picture.pts = i
        data = b"".join(bytes(p) for p in codec.encode(picture.reformat(format="yuv420p")))
        frames.append(EncodedFrame(name, 3600 * i, i == 0, data))
    return frames


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("name", "encoder"), [("VP8", "libvpx"), ("H264", "libx264")])
def test_pictures_come_out_with_their_timestamps(name: str, encoder: str) -> None:
    images: list[tuple[NDArray[np.uint8], int]] = []
    errors: list[int] = []
    decoder = VideoDecoder(on_image=lambda i, t: images.append((i, t)), on_error=lambda: errors.append(1))

    def came(count: int) -> Callable[[], bool]:
        return lambda: len(images) == count

    for count, frame in enumerate(encode(name, encoder, 8), 1):
        assert decoder.put_frame(frame)
        wait(came(count))
    decoder.close()
    decoder.close()
    assert [t for _, t in images] == [3600 * i for i in range(8)] and not errors
    assert [abs(int(image[60, 80, 1]) - 10 * i) <= 6 for i, (image, _) in enumerate(images)] == [True] * 8
    assert images[0][0].shape == (120, 160, 3)


def test_garbage_and_unknown_codecs_are_errors_and_a_keyframe_mends_them() -> None:
    images: list[int] = []
    errors: list[int] = []
    decoder = VideoDecoder(on_image=lambda i, t: images.append(t), on_error=lambda: errors.append(1))
    good = encode("VP8", "libvpx", 2)
    bad = [
        EncodedFrame("VP8", 1, False, b"\x01garbage"),
        EncodedFrame("AV1", 2, False, b"x"),
        EncodedFrame("VP8", 3, False, b""),
    ]
    for frame in bad[:2]:
        decoder.put_frame(frame)
    wait(lambda: len(errors) == 2)
    for frame in good:
        decoder.put_frame(frame)
    wait(lambda: good[-1].timestamp in images)
    decoder.close()


class Gate:
    """A decoder whose thread is held at the first error, so that what is put waits."""

    def __init__(self, **options: float) -> None:
        self.gate = threading.Event()
        self.held = threading.Event()
        self.images: list[int] = []
        self.decoder = VideoDecoder(on_image=lambda i, t: self.images.append(t), on_error=self.hold, **options)
        self.decoder.put_frame(EncodedFrame("AV1", 0, True, b""))
        assert self.held.wait(90.0)

    def hold(self) -> None:
        self.held.set()
        self.gate.wait(90.0)


def test_a_full_queue_is_told_and_closing_does_not_hang() -> None:
    held = Gate()
    taken = [held.decoder.put_frame(EncodedFrame("AV1", i, False, b"")) for i in range(QUEUE_FRAMES + 5)]
    assert taken == [True] * QUEUE_FRAMES + [False] * 5
    held.gate.set()
    held.decoder.close()
    held.decoder.close()
    assert not held.decoder._thread.is_alive()


@pytest.mark.parametrize("first", [0, 2**32 - 3600])
def test_no_more_than_the_bound_waits_whatever_the_timestamp(first: int) -> None:
    held = Gate(max_backlog_ms=200.0)
    frames = [EncodedFrame("AV1", (first + 3600 * i) % 2**32, False, b"") for i in range(10)]
    assert [held.decoder.put_frame(frame) for frame in frames] == [True] * 6 + [False] * 4
    held.gate.set()
    held.decoder.close()


def test_a_keyframe_takes_the_place_of_the_backlog() -> None:
    held = Gate()
    good = encode("VP8", "libvpx", 3)
    late = [EncodedFrame("VP8", 90 * i, False, b"\x01garbage") for i in range(5)]
    assert all(held.decoder.put_frame(frame) for frame in late)
    held.held.clear()
    assert all(held.decoder.put_frame(frame) for frame in good)
    held.gate.set()
    wait(lambda: good[-1].timestamp in held.images)
    held.decoder.close()
    assert held.decoder.frames_skipped == 5 and not held.held.is_set()  # none of them was decoded


def test_a_burst_is_shown_whole_but_not_what_is_late() -> None:
    held = Gate()
    frames = encode("VP8", "libvpx", 8)  # 40 ms apart
    assert all(held.decoder.put_frame(frame) for frame in frames)
    held.gate.set()
    wait(lambda: frames[-1].timestamp in held.images)
    held.decoder.close()
    assert held.images == [frame.timestamp for frame in frames[2:]]  # 200 ms and less before the newest
