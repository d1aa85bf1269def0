"""What the fuzz tests start from: real packets of every codec, ways to break them, and a measure of what piles up."""

import os
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import numpy as np
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from realtime.media import BLOCK_SAMPLES
from realtime.rtc.aiortc import MediaPacket
from realtime.rtc.send.opus import OpusEncoder

U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)
SHAPE = (96, 128, 3)


def fuzz(part: float = 1.0) -> settings:
    """Return the settings of a fuzz test: every run tries the same examples; fewer (`part`) where they are dear.

    LIPLINE_FUZZ_EXAMPLES=5000 tries more of them.
    """
    usual = int(os.environ.get("LIPLINE_FUZZ_EXAMPLES", "60"))
    slow_is_fine = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=max(5, int(usual * part)),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=slow_is_fine,
    )


def picture(number: int) -> NDArray[np.uint8]:
    """Return a picture that no other number has."""
    image = np.full(SHAPE, 40, np.uint8)
    image[:, : 8 + number * 4 % 100] = 200
    image[number % 80 : number % 80 + 16] = 120
    return image


@cache
def video_payloads(codec: str, frames: int = 12) -> tuple[tuple[bytes, ...], ...]:
    """Return the RTP payloads of each frame of a short clip, "VP8" or "H264"; the first frame is a keyframe."""
    state = random.getstate()
    random.seed(1)  # aiortc's first picture id is random
    encoder = Vp8Encoder() if codec == "VP8" else H264Encoder()
    random.setstate(state)
    made = []
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(picture(number), format="bgr24")
        frame.pts, frame.time_base = number * 3600, Fraction(1, 90_000)
        payloads, _ = encoder.encode(frame, force_keyframe=number % 6 == 0)
        made.append(tuple(payloads))
    return tuple(made)


@cache
def opus_payloads(count: int = 100) -> tuple[bytes, ...]:
    """Return speech-like packets of 20 ms."""
    t = np.arange(count * BLOCK_SAMPLES) / 48_000
    pitch = 140 + 20 * np.sin(2 * np.pi * 0.7 * t)
    tone = sum(np.sin(2 * np.pi * np.cumsum(pitch) / 48_000 * k) / k for k in range(1, 12))
    sound = (6000 * tone * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))).astype(np.int16)
    encoder = OpusEncoder()
    return tuple(encoder.encode(sound[i * BLOCK_SAMPLES : (i + 1) * BLOCK_SAMPLES]) for i in range(count))


def depayloaded(codec: str, payload: bytes) -> bytes:
    """Return what the codec wants of a payload, as aiortc does; empty when it cannot be read."""
    from aiortc.codecs import depayload
    from aiortc.rtcrtpparameters import RTCRtpCodecParameters

    try:
        parameters = RTCRtpCodecParameters(mimeType=f"video/{codec}", clockRate=90_000, payloadType=97)
        return bytes(depayload(parameters, payload))
    except ValueError:
        return b""


def media_packets(codec: str, *, ssrc: int = 1, first: int = 0, stamp: int = 0, frames: int = 12) -> list[MediaPacket]:
    """Return a good stream."""
    found: list[MediaPacket] = []
    for number, payloads in enumerate(video_payloads(codec, frames)):
        for index, payload in enumerate(payloads):
            found.append(
                MediaPacket(
                    codec, ssrc, (first + len(found)) & 0xFFFF, (stamp + number * 3600) & 0xFFFFFFFF,
                    index == len(payloads) - 1, payload, depayloaded(codec, payload),
                )
            )  # fmt: skip
    return found


@st.composite
def broken(draw: st.DrawFn, good: st.SearchStrategy[bytes]) -> bytes:
    """Draw good bytes and break them: bytes changed, cut off, cut out, put in, put twice."""
    data = bytearray(draw(good))
    for _ in range(draw(st.integers(1, 4))):
        how = draw(st.sampled_from(("flip", "cut", "remove", "insert", "double", "ones")))
        at = draw(st.integers(0, max(0, len(data) - 1)))
        if how == "flip" and data:
            data[at] ^= draw(st.integers(1, 255))
        elif how == "cut":
            del data[at:]
        elif how == "remove":
            del data[at : at + draw(st.integers(1, 16))]
        elif how == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=16))
        elif how == "double":
            data += data[at:]
        elif data:
            data[at : at + 4] = b"\xff" * len(data[at : at + 4])
    return bytes(data[:4096])


def some(items: Iterable[bytes]) -> st.SearchStrategy[bytes]:
    """Draw one of `items`."""
    return st.sampled_from(list(items))


@dataclass(frozen=True, slots=True)
class Pile:
    """Say which collection inside an object is largest."""

    size: int
    where: str


def largest(owner: object, depth: int = 4) -> Pile:
    """Return the largest list, dict, set, deque or bytes reachable through attributes and elements of our objects.

    Objects of other packages are not looked into: what they keep is theirs.
    """
    best, seen = Pile(0, ""), set()
    pending: list[tuple[object, str, int]] = [(owner, type(owner).__name__, 0)]
    while pending:
        item, where, level = pending.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, list | dict | set | frozenset | deque | bytes | bytearray | tuple):
            if len(item) > best.size:
                best = Pile(len(item), where)
            inside = item.values() if isinstance(item, dict) else () if isinstance(item, bytes | bytearray) else item
            if level < depth:
                pending += [(part, f"{where}[]", level + 1) for part in list(inside)[:50]]
        elif isinstance(item, np.ndarray):
            continue
        elif type(item).__module__.split(".")[0] in ("realtime", "signaling", "models") and level < depth:
            names = [*getattr(item, "__dict__", {}), *getattr(type(item), "__slots__", ())]
            pending += [(getattr(item, name, None), f"{where}.{name}", level + 1) for name in names]
    return best


for _codec in ("VP8", "H264"):
    video_payloads(_codec)  # not within a strategy: hypothesis minds who touches the random numbers
