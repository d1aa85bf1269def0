"""Broken video packets into assembly and decoding: nothing escapes, nothing piles up, good video follows."""

import resource
import threading
import time

import numpy as np
from fuzz_material import U16, U32, broken, depayloaded, fuzz, largest, media_packets, picture, some, video_payloads
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from realtime.rtc.aiortc import MediaPacket
from realtime.rtc.receive.assemble import EncodedFrame, FrameAssembler, begins_keyframe
from realtime.rtc.receive.videodecode import VideoDecoder

CODECS = ("VP8", "H264")
PACKETS_KEPT = 1100


@st.composite
def bad_packets(draw: st.DrawFn) -> list[MediaPacket]:
    """Draw packets: real ones with any field changed, and inventions."""
    found = []
    for _ in range(draw(st.integers(1, 40))):
        codec = draw(st.sampled_from((*CODECS, "vp8", "rtx", "")))
        good = draw(st.sampled_from(media_packets(codec if codec in CODECS else "VP8")))
        payload = draw(st.one_of(st.just(good.payload), broken(st.just(good.payload)), st.binary(max_size=40)))
        near = draw(st.integers(-3, 3))
        found.append(
            MediaPacket(
                codec,
                draw(st.one_of(st.just(1), st.integers(0, 2), U32)),
                draw(st.one_of(st.just((good.sequence + near) & 0xFFFF), U16)),
                draw(st.one_of(st.just(good.timestamp), U32)),
                draw(st.booleans()),
                payload,
                draw(st.one_of(st.just(depayloaded("VP8", payload)), st.just(payload), st.just(b""))),
            )
        )
    return found


STEPS_MS = st.lists(st.sampled_from((0.0, 1.0, 40.0, 130.0, 400.0, 1e7)), min_size=40, max_size=40)


@fuzz()
@given(bad_packets(), STEPS_MS, st.sampled_from(CODECS))
def test_a_good_stream_follows_any_packets(packets: list[MediaPacket], steps: list[float], codec: str) -> None:
    assembler, now_ms = FrameAssembler(), 0.0
    for packet, step in zip(packets, steps, strict=False):
        now_ms += step
        for frame in assembler.add_packet(packet, now_ms):
            assert isinstance(frame.data, bytes)
        assembler.pli_due(now_ms)
    assert largest(assembler).size <= PACKETS_KEPT, largest(assembler)
    found = []
    for packet in media_packets(codec, ssrc=99, first=65_530):
        now_ms += 5.0
        found += assembler.add_packet(packet, now_ms)
    wanted = [b"".join(depayloaded(codec, payload) for payload in frame) for frame in video_payloads(codec)]
    assert [frame.data for frame in found] == wanted and found[0].keyframe


@fuzz()
@given(bad_packets(), STEPS_MS, U16)
def test_the_same_stream_comes_back_by_itself(packets: list[MediaPacket], steps: list[float], first: int) -> None:
    """Packets of the right SSRC with wild numbers must not shut the stream out for ever."""
    assembler, now_ms = FrameAssembler(), 0.0
    for packet, step in zip(packets, steps, strict=False):
        now_ms += step
        assembler.add_packet(packet, now_ms)
    found = []
    for turn in range(40):
        for packet in media_packets("VP8", first=first + turn * 12, stamp=turn * 12 * 3600):
            now_ms += 40.0
            found += [(turn, frame) for frame in assembler.add_packet(packet, now_ms)]
    assert len({turn for turn, _ in found}) >= 20, "video is back long before a minute has passed"
    assert largest(assembler).size <= PACKETS_KEPT


@fuzz()
@given(st.binary(max_size=40), st.sampled_from((*CODECS, "h264", "", "x")))
def test_any_packet_may_begin_a_keyframe_or_not(payload: bytes, codec: str) -> None:
    packet = MediaPacket(codec, 1, 0, 0, True, payload, depayloaded("VP8", payload))
    assert begins_keyframe(packet) in (True, False)


class Decoded:
    """Decode on the decoder's own thread and wait for what comes of a frame."""

    def __init__(self) -> None:
        self.images: list[NDArray[np.uint8]] = []
        self.errors = 0
        self.decoder = VideoDecoder(on_image=lambda image, timestamp: self.images.append(image), on_error=self._failed)

    def _failed(self) -> None:
        self.errors += 1

    def settle(self, frames: int) -> None:
        until = time.monotonic() + 90.0
        while len(self.images) < frames and time.monotonic() < until:
            time.sleep(0.002)


@fuzz(0.25)
@given(
    st.lists(
        st.tuples(
            st.sampled_from((*CODECS, "AV1", "")),
            st.one_of(
                broken(some(depayloaded(c, p[0]) for c in CODECS for p in video_payloads(c))), st.binary(max_size=60)
            ),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_the_decoder_goes_on_after_any_frame(frames: list[tuple[str, bytes]]) -> None:
    others = set(threading.enumerate())
    seen = Decoded()
    try:
        for codec, data in frames:
            seen.decoder.put_frame(EncodedFrame(codec, 0, True, data))
        before = len(seen.images)
        good = b"".join(depayloaded("VP8", payload) for payload in video_payloads("VP8")[0])
        until = time.monotonic() + 90.0
        while time.monotonic() < until:  # shown once the decoder has caught up
            seen.decoder.put_frame(EncodedFrame("VP8", 1, True, good))
            seen.settle(before + 1)
            if any(image.shape == picture(0).shape for image in seen.images):
                break
        shown = [image for image in seen.images if image.shape == picture(0).shape][-1]
        assert np.abs(shown.astype(int) - picture(0)).mean() < 20
    finally:
        seen.decoder.close()
    assert not any(t.name == "video-decoder" and t.is_alive() for t in set(threading.enumerate()) - others)


def huge_keyframe() -> bytes:
    """Return a VP8 keyframe whose header says 16383 x 16383 px (RFC 6386, 9.1): 800 MB as BGR."""
    good = bytearray(b"".join(depayloaded("VP8", payload) for payload in video_payloads("VP8")[0]))
    assert good[3:6] == b"\x9d\x01\x2a"
    good[6:10] = b"\xff\x3f\xff\x3f"
    return bytes(good)


def test_a_header_that_claims_a_huge_picture_costs_nothing() -> None:
    seen = Decoded()
    try:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for count in (1, 2, 3):  # one by one: a keyframe takes the place of those that still wait
            seen.decoder.put_frame(EncodedFrame("VP8", 0, True, huge_keyframe()))
            until = time.monotonic() + 90.0
            while seen.errors < count and time.monotonic() < until:
                time.sleep(0.01)
        assert seen.errors == 3 and not seen.images
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB
    finally:
        seen.decoder.close()
