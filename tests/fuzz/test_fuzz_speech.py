"""Broken speech packets into jitter buffer, decoder, playout and the whole call path."""

import asyncio
import math
from typing import Any

import numpy as np
from fuzz_material import U16, U32, broken, fuzz, largest, opus_payloads, picture, some
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.soak.step_clock import StepClock
from models.alignment import MelWindow
from realtime.media import BLOCK_SAMPLES, AudioBlock, FrameKind, OutputFrame, VideoFrame
from realtime.picture.synth_api import NoSynth
from realtime.rtc.node.path import CallPath
from realtime.rtc.receive.rtpclock import StreamPair
from realtime.rtc.send.opus import OpusDecoder, has_lbrr
from realtime.speech.audio import SpeechPath
from realtime.speech.jitter import JUMP_MS, JitterBuffer
from realtime.speech.playout import SpeechPlayout

WINDOW = MelWindow.for_lookahead(80.0)
PAYLOADS = st.one_of(some(opus_payloads()), broken(some(opus_payloads())), st.binary(max_size=30))
Packet = tuple[int, int, bytes, float]


@st.composite
def bad_speech(draw: st.DrawFn) -> list[Packet]:
    """Draw (sequence, timestamp, payload, ms after the one before): a real stream with anything wrong in it."""
    found: list[Packet] = []
    sequence, stamp = draw(U16), draw(U32)
    for _ in range(draw(st.integers(1, 60))):
        sequence = draw(st.one_of(st.just(sequence + 1), st.integers(sequence - 4, sequence + 4), U16)) & 0xFFFF
        stamp = draw(st.one_of(st.just(stamp + 960), st.integers(stamp - 5000, stamp + 5000), U32)) & 0xFFFFFFFF
        gap_ms = draw(st.sampled_from((0.0, 20.0, 20.0, 20.0, 90.0, 700.0, 30_000.0)))
        found.append((sequence, stamp, draw(PAYLOADS), gap_ms))
    return found


@fuzz(2.0)
@given(PAYLOADS)
def test_the_decoder_gives_a_block_or_nothing(payload: bytes) -> None:
    assert has_lbrr(payload) in (True, False)
    for decoder in (OpusDecoder(), OpusDecoder(libopus=False)):
        for block in (decoder.recover(payload), decoder(payload), decoder.conceal()):
            assert block is None or (block.shape == (BLOCK_SAMPLES,) and block.dtype == np.int16)
        good = [decoder(packet) for packet in opus_payloads()[:10]]
        assert all(block is not None for block in good[1:])


@fuzz()
@given(bad_speech(), st.booleans())
def test_the_jitter_buffer_keeps_little_and_always_answers(packets: list[Packet], urgent: bool) -> None:
    buffer, now_ms = JitterBuffer(), 0.0
    for sequence, stamp, payload, gap_ms in packets:
        now_ms += gap_ms
        buffer.push_packet(sequence, stamp, payload, now_ms)
        # A hole is as long as the time that went by, or as what still counts as the same stream.
        most = int((now_ms + JUMP_MS * len(packets)) / 20.0) + 200
        for _ in range(most):
            if buffer.fetch_frame(now_ms, urgent=False) is None:
                break
        else:
            raise AssertionError("what is not urgent ends")
        if urgent:
            buffer.fetch_frame(now_ms, urgent=True)
    assert largest(buffer).size <= 4096


@fuzz(0.4)
@given(bad_speech())
def test_speech_is_whole_again_after_any_packets(packets: list[Packet]) -> None:
    speech = SpeechPath(WINDOW)
    playout = SpeechPlayout(speech, OpusDecoder())
    now_ms, due_ms = 1000.0, 1000.0

    def play(until_ms: float) -> list[AudioBlock]:
        nonlocal due_ms
        found = []
        # A machine that slept: what lies behind is not hurried through (CallPath does the same).
        due_ms = max(due_ms, until_ms - 500.0)
        while due_ms <= until_ms:
            block = playout.block(due_ms)
            found += [] if block is None else [block]
            due_ms += 20.0
        return found

    for sequence, stamp, payload, gap_ms in packets:
        now_ms += gap_ms
        play(now_ms)
        playout.push_packet(sequence, stamp, payload, now_ms)
        assert math.isfinite(playout.delay_ms) and speech.line.fill_ms < 2000.0
    assert largest(playout).size <= 4096, largest(playout)
    blocks: list[AudioBlock] = []
    for index in range(250):
        now_ms += 20.0
        playout.push_packet(7_000 + index, 123_456 + 960 * index, opus_payloads()[index % 100], now_ms)
        blocks += play(now_ms)
    late = blocks[-50:]
    assert len(late) == 50 and not any(block.concealed for block in late)
    assert np.mean([np.abs(block.samples.astype(float)).mean() for block in late]) > 500.0
    assert playout.delay_ms < 600.0


NTP_MS = st.one_of(st.floats(0.0, 2.0**32 * 1000.0), st.sampled_from((0.0, 1e-9, 4.3e12, 2.0**42)))
CLOCK_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("packet"), st.booleans(), U32, st.sampled_from((0.0, 20.0, 5000.0))),
        st.tuples(st.just("report"), st.booleans(), U32, NTP_MS),
    ),
    min_size=1,
    max_size=60,
)


@fuzz()
@given(CLOCK_EVENTS)
def test_clocks_stay_finite_whatever_senders_report(events: list[tuple[str, bool, int, float]]) -> None:
    pair, now_ms = StreamPair(), 1e6
    for kind, is_audio, stamp, value in events:
        clock = pair.audio if is_audio else pair.video
        if kind == "packet":
            now_ms += value
            clock.observe(stamp, now_ms)
        elif clock.ready:
            clock.sender_report(value, stamp)
        if pair.audio.ready and pair.video.ready:
            assert math.isfinite(pair.audio_ms(stamp)) and math.isfinite(pair.video_ms(stamp))
    assert largest(pair).size <= 64
    for index in range(400):  # a good stream again: media time goes by as the stream's own does, but for the slew
        now_ms += 20.0
        pair.audio.observe(index * 960, now_ms)
        if index == 349:
            before_ms = pair.audio_ms(index * 960)
    assert abs(pair.audio_ms(399 * 960) - before_ms - 1000.0) < 11.0


@st.composite
def bad_events(draw: st.DrawFn) -> list[tuple[str, Any, float]]:
    """Draw (kind, value, ms after the one before) of a call."""
    events: list[tuple[str, Any, float]] = []
    for packet in draw(bad_speech()):
        events.append(("audio", packet[:3], packet[3]))
        if draw(st.booleans()):
            source_ms = draw(st.sampled_from((0.0, 40.0, -1e9, 1e12, 1e15)))
            events.append(("video", source_ms, 0.0))
        if draw(st.integers(0, 9)) == 0:
            events.append(("flows", draw(st.booleans()), 0.0))
    return events


@fuzz(0.15)
@given(bad_events())
def test_a_call_goes_on_after_any_packets(events: list[tuple[str, Any, float]]) -> None:
    asyncio.run(_call(events))


async def _call(events: list[tuple[str, Any, float]]) -> None:
    clock = StepClock(5_000.0)
    blocks: list[AudioBlock] = []
    frames: list[OutputFrame] = []
    pair = StreamPair()
    path = CallPath(
        clock, WINDOW, NoSynth(), on_block=blocks.append, on_frame=frames.append,
        source_ms=lambda stamp: pair.audio_ms(stamp) if pair.audio.ready else 0.0,
    )  # fmt: skip
    running = asyncio.create_task(path.run())
    while clock.sleepers < 2:  # noqa: ASYNC110
        await asyncio.sleep(0)
    for kind, value, gap_ms in events:
        # Hours without a packet are hours of ticks: here the machine sleeps through most of them.
        await clock.advance(clock.now_ms() + min(gap_ms, 1_500.0))
        now_ms = clock.now_ms()
        if kind == "audio":
            sequence, stamp, payload = value
            pair.audio.observe(stamp, now_ms)
            path.audio_packet(sequence, stamp, payload, now_ms)
        elif kind == "video":
            path.video_frame(VideoFrame(picture(0), float(value)), now_ms)
        else:
            path.video_flows(bool(value))
        assert not running.done(), running.exception()
    assert largest(path).size <= 30_000, largest(path)
    blocks.clear()
    frames.clear()
    for index in range(300):
        await clock.advance(clock.now_ms() + 20.0)
        stamp = 900_000 + 960 * index
        pair.audio.observe(stamp, clock.now_ms())
        path.audio_packet(30_000 + index, stamp, opus_payloads()[index % 100], clock.now_ms())
        if index % 2 == 0:
            path.video_frame(VideoFrame(picture(index // 2), pair.audio_ms(stamp)), clock.now_ms())
    running.cancel()
    results = await asyncio.gather(running, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError), results
    assert not any(block.concealed for block in blocks[-50:])
    assert sum(frame.kind is FrameKind.REAL for frame in frames[-25:]) >= 20, "real frames are shown again"
    assert all(math.isfinite(frame.media_ms) and math.isfinite(frame.leaves_ms) for frame in frames)
