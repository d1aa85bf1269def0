import asyncio
from fractions import Fraction

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from realtime.clock import MonotonicClock
from realtime.media import BLOCK_SAMPLES, AudioBlock
from realtime.rtc.control import MAX_MESSAGE_BYTES, Control, ControlType, decode
from realtime.rtc.opus import OpusDecoder, OpusEncoder
from realtime.rtc.tracks import BlockAudioTrack, EngineVideoTrack

CLOCK = MonotonicClock()


def tone(blocks: int) -> NDArray[np.int16]:
    t = np.arange(blocks * BLOCK_SAMPLES) / 48_000
    samples: NDArray[np.int16] = np.asarray(
        9000 * np.sin(2 * np.pi * 300 * t) * (1 + np.sin(6 * np.pi * t)) / 2, np.int16
    )
    return samples


async def test_video_keeps_the_newest_frame_and_its_time() -> None:
    track = EngineVideoTrack(zero_ms=1000.0)
    for i in range(3):
        track.put(np.full((48, 64, 3), 80 * i, np.uint8), 1000.0 + 40.0 * i)
    frame = await track.recv()
    assert (frame.pts, frame.time_base) == (80 * 90, Fraction(1, 90_000))
    assert frame.to_ndarray(format="bgr24")[0, 0, 0] == 160
    assert track.frames_skipped == 2
    track.put(np.zeros((48, 64, 3), np.uint8), 1000.0)  # media time went back: the timestamp still rises
    assert (await track.recv()).pts == 80 * 90 + 1


async def test_a_stopped_track_wakes_its_reader() -> None:
    for track in (EngineVideoTrack(zero_ms=0.0), BlockAudioTrack(CLOCK, zero_ms=0.0)):
        reader = asyncio.create_task(track.recv())
        await asyncio.sleep(0)
        track.stop()
        with pytest.raises(MediaStreamError):
            await reader


async def test_audio_carries_media_time_and_our_bit_rate() -> None:
    track = BlockAudioTrack(CLOCK, zero_ms=500.0)
    decoder = OpusDecoder()
    speech = tone(50)
    sizes, heard = [], []
    for i in range(50):
        track.put(AudioBlock(speech[i * 960 : (i + 1) * 960], 540.0 + 20.0 * i))
        packet = await track.recv()
        assert packet.pts == (40 + 20 * i) * 48
        sizes.append(len(bytes(packet)))
        samples = decoder(bytes(packet))
        assert samples is not None
        heard.append(samples)
    assert 40 <= np.mean(sizes) <= 66  # 24 kbit/s is 60 bytes every 20 ms
    # Opus delays by 6.5 ms at most; the tone comes back.
    out = np.concatenate(heard)
    spectrum = np.abs(np.fft.rfft(out * np.hanning(out.size)))
    assert abs(float(np.argmax(spectrum)) * 48_000 / out.size - 300) < 5


async def test_a_starved_track_sends_silence_and_a_full_one_drops_the_oldest() -> None:
    track = BlockAudioTrack(CLOCK, zero_ms=0.0, queue_blocks=3, patience_ms=5.0)
    for i in range(5):
        track.put(AudioBlock(tone(1), 20.0 * i))
    pts = [(await track.recv()).pts for _ in range(6)]
    assert track.blocks_dropped == 2 and track.blocks_silent == 3
    assert pts == [960 * i for i in range(2, 8)]
    track.put(AudioBlock(tone(1), 100.0))  # its place went out as silence
    track.put(AudioBlock(tone(1), 200.0))
    assert (await track.recv()).pts == 9600
    assert track.blocks_late == 1


async def test_the_bit_rate_can_change_in_mid_call_and_packets_out_time_is_theirs() -> None:
    track, speech = BlockAudioTrack(CLOCK, zero_ms=0.0), tone(50)
    sizes: dict[int, list[int]] = {24_000: [], 40_000: []}
    for i in range(50):
        rate = 24_000 if i < 25 else 40_000
        track.set_bitrate(rate)
        # Media time stands still while the delay grows; the output clock does not.
        track.put(AudioBlock(speech[i * 960 : (i + 1) * 960], 100.0 + i, out_ms=20.0 * i))
        packet = await track.recv()
        assert packet.pts == 960 * i
        sizes[rate].append(len(bytes(packet)))
    assert np.mean(sizes[40_000][2:]) > 1.3 * np.mean(sizes[24_000][2:])


def test_opus_survives_garbage() -> None:
    decoder = OpusDecoder()
    rng = np.random.default_rng(0)
    for size in (0, 1, 2, 7, 60, 200):
        for _ in range(20):
            samples = decoder(rng.bytes(size))
            assert samples is None or (samples.shape == (BLOCK_SAMPLES,) and samples.dtype == np.int16)
    good = decoder(OpusEncoder().encode(tone(1)))
    assert good is not None and good.shape == (BLOCK_SAMPLES,)


def test_opus_refuses_what_is_not_a_block() -> None:
    with pytest.raises(ValueError, match="960"):
        OpusEncoder().encode(np.zeros(100, np.int16))
    with pytest.raises(ValueError, match="bit rate"):
        OpusEncoder(100)


@given(st.sampled_from(ControlType), st.integers(0, 2**53 - 1), st.integers(0, 1000))
def test_control_messages_survive_the_wire(kind: ControlType, number: int, pad: int) -> None:
    message = Control(kind, number, pad)
    assert decode(message.encode()) == message
    assert pad < len(message.encode()) < MAX_MESSAGE_BYTES


@given(st.text() | st.binary() | st.none())
def test_control_garbage_is_ignored(message: object) -> None:
    assert decode(message) is None


@pytest.mark.parametrize(
    "text",
    ["[1]", "3", '{"type":"ping"}', '{"type":"ping","n":true}', '{"type":"ping","n":-1}', '{"type":[],"n":1}']
    + ['{"type":"ping","n":1,"pad":3}', "[" * 2000, '{"type":"ping","n":1,"pad":"' + "x" * 3000 + '"}'],
)
def test_almost_control_messages_are_ignored(text: str) -> None:
    assert decode(text) is None


async def test_a_cancellation_that_meets_a_block_is_not_lost() -> None:
    track = BlockAudioTrack(CLOCK, zero_ms=0.0, patience_ms=1000.0)
    track.put(AudioBlock(tone(1), 0.0))
    await track.recv()
    reader = asyncio.create_task(track.recv())
    await asyncio.sleep(0.01)
    track.put(AudioBlock(tone(1), 20.0))
    reader.cancel()  # the wait is over, but its reader has not run yet
    with pytest.raises(asyncio.CancelledError):
        await reader
