import asyncio
from fractions import Fraction

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from virtual_time import LoopClock, VirtualLoop, in_virtual_time

from realtime.media import BLOCK_SAMPLES, AudioBlock
from realtime.rtc.control import MAX_MESSAGE_BYTES, Control, ControlType, decode
from realtime.rtc.send.opus import OpusDecoder, OpusEncoder, split_frames
from realtime.rtc.send.packer import SpeechMode, SpeechPacker
from realtime.rtc.send.tracks import LATE_RUN, BlockAudioTrack, EngineVideoTrack

CLOCK = LoopClock()


def tone(blocks: int) -> NDArray[np.int16]:
    t = np.arange(blocks * BLOCK_SAMPLES) / 48_000
    samples: NDArray[np.int16] = np.asarray(
        9000 * np.sin(2 * np.pi * 300 * t) * (1 + np.sin(6 * np.pi * t)) / 2, np.int16
    )
    return samples


async def test_video_keeps_the_newest_frame_and_its_time() -> None:
    track = EngineVideoTrack(zero_ms=1000.0)
    for i in range(3):
        track.put_frame(np.full((48, 64, 3), 80 * i, np.uint8), 1000.0 + 40.0 * i)
    frame = await track.recv()
    assert (frame.pts, frame.time_base) == (80 * 90, Fraction(1, 90_000))
    assert frame.to_ndarray(format="bgr24")[0, 0, 0] == 160
    assert track.frames_skipped == 2
    track.put_frame(np.zeros((48, 64, 3), np.uint8), 1000.0)  # media time went back: the timestamp still rises
    assert (await track.recv()).pts == 80 * 90 + 1


async def test_a_stopped_track_wakes_its_reader() -> None:
    for track in (EngineVideoTrack(zero_ms=0.0), BlockAudioTrack(CLOCK, zero_ms=0.0)):
        reader = asyncio.create_task(track.recv())
        await asyncio.sleep(0)
        track.stop()
        with pytest.raises(MediaStreamError):
            await reader


@in_virtual_time
async def test_audio_carries_media_time_and_our_bit_rate() -> None:
    track = BlockAudioTrack(CLOCK, zero_ms=500.0)
    decoder = OpusDecoder()
    speech = tone(50)
    sizes, heard = [], []
    for i in range(50):
        track.put_block(AudioBlock(speech[i * 960 : (i + 1) * 960], 540.0 + 20.0 * i))
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


@in_virtual_time
async def test_a_starved_track_sends_silence_and_a_full_one_drops_the_oldest() -> None:
    track = BlockAudioTrack(CLOCK, zero_ms=0.0, queue_blocks=3, patience_ms=5.0)
    for i in range(5):
        track.put_block(AudioBlock(tone(1), 20.0 * i))
    pts = [(await track.recv()).pts for _ in range(6)]
    assert track.blocks_dropped == 2 and track.blocks_silent == 3
    assert pts == [960 * i for i in range(2, 8)]
    track.put_block(AudioBlock(tone(1), 100.0))  # its place went out as silence
    track.put_block(AudioBlock(tone(1), 200.0))
    assert (await track.recv()).pts == 9600
    assert track.blocks_late == 1


@in_virtual_time
async def test_the_output_clock_makes_the_timestamps() -> None:
    track, speech = BlockAudioTrack(CLOCK, zero_ms=0.0), tone(20)
    for i in range(20):
        # Media time nearly stands still while the delay grows; the output clock does not.
        track.put_block(AudioBlock(speech[i * 960 : (i + 1) * 960], 100.0 + i, out_ms=20.0 * i))
        assert (await track.recv()).pts == 960 * i


async def silent_for(track: BlockAudioTrack, blocks: int) -> list[int | None]:
    """Let the source of `track` give one block and then nothing, until so many of silence went out."""
    track.put_block(AudioBlock(tone(1), 0.0))
    pts = [(await track.recv()).pts for _ in range(1 + blocks)]
    assert track.blocks_silent == blocks
    return pts


@in_virtual_time
async def test_a_source_that_paused_is_heard_again() -> None:
    """A device stalls, silence goes out in its place, and its stamps go on as if nothing had been."""
    track = BlockAudioTrack(CLOCK, zero_ms=0.0, patience_ms=1.0)
    pts = await silent_for(track, 11)

    async def source() -> None:
        begin_ms = CLOCK.now_ms()
        for i in range(1, 21):
            track.put_block(AudioBlock(tone(1), 20.0 * i))
            await CLOCK.sleep_until(begin_ms + 20.0 * i)

    task = asyncio.create_task(source())
    while not task.done():
        pts.append((await track.recv()).pts)
    assert track.blocks_late == LATE_RUN
    assert pts == [960 * i for i in range(len(pts))]
    track.put_block(AudioBlock(tone(1), 420.0))
    assert (await track.recv()).pts == 960 * len(pts)


@in_virtual_time
async def test_a_device_that_held_sound_back_keeps_its_place() -> None:
    """What comes all at once after a stall is late; what comes next is not, so nothing is moved for good."""
    track = BlockAudioTrack(CLOCK, zero_ms=0.0, patience_ms=1.0, queue_blocks=20)
    await silent_for(track, 11)
    for i in range(1, 15):
        track.put_block(AudioBlock(tone(1), 20.0 * i))
    assert [(await track.recv()).pts for _ in range(3)] == [960 * i for i in (12, 13, 14)]
    assert track.blocks_late == 11


@in_virtual_time
async def test_a_loop_that_stood_still_is_no_pause_of_its_source() -> None:
    """The machine stalls, source and track alike: all sound goes out late, none of it lost or moved in time."""
    track, begin_ms = BlockAudioTrack(CLOCK, zero_ms=0.0), CLOCK.now_ms()

    async def source() -> None:
        for i in range(40):
            await CLOCK.sleep_until(begin_ms + 20.0 * i)
            track.put_block(AudioBlock(tone(1), 20.0 * i))

    task = asyncio.create_task(source())
    pts = []
    for i in range(40):
        if i in (8, 9, 15):
            stall(0.17)
        pts.append((await track.recv()).pts)
    await task
    assert (track.blocks_silent, track.blocks_late, track.blocks_dropped) == (0, 0, 0)
    assert pts == [960 * i for i in range(40)]


def stall(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.stall(seconds)


@in_virtual_time
async def test_two_frames_share_a_packet_when_asked_for() -> None:
    track, speech = BlockAudioTrack(CLOCK, zero_ms=0.0), tone(40)
    track.set_mode(SpeechMode(24_000, frames=2))
    decoder, heard = OpusDecoder(), 0
    for i in range(20):
        for k in (2 * i, 2 * i + 1):
            track.put_block(AudioBlock(speech[k * 960 : (k + 1) * 960], 20.0 * k))
        packet = await track.recv()
        assert packet.pts == 1920 * i
        frames = split_frames(bytes(packet))
        heard += sum(decoder(frame) is not None for frame in frames)
    assert heard == 40
    # A hole in time: the frame before it leaves alone.
    track.put_block(AudioBlock(tone(1), 800.0))
    track.put_block(AudioBlock(tone(1), 1000.0))
    assert [(await track.recv()).pts for _ in range(2)] == [38_400, 48_000]


def test_another_bit_rate_waits_for_a_pause_and_not_for_ever() -> None:
    loud = np.tile(np.array([6000, -6000], np.int16), 480 * 200)
    loud = (loud * np.random.default_rng(1).uniform(0.3, 1.0, loud.size)).astype(np.int16).reshape(-1, 960)
    packer, sizes = SpeechPacker(SpeechMode(24_000)), []
    for i in range(180):
        if i in (30, 90):
            packer.mode = SpeechMode(64_000 if i == 30 else 24_000)
        block = np.zeros(960, np.int16) if i == 60 else loud[i]
        sizes += [len(payload) for _, payload in packer.push(block, i * 960)]
    assert np.mean(sizes[35:60]) < 1.2 * np.mean(sizes[10:30]), "changed in the middle of the sound"
    assert np.mean(sizes[65:90]) > 1.8 * np.mean(sizes[10:30])
    assert np.mean(sizes[150:]) < 1.2 * np.mean(sizes[10:30]), "never changed without a pause"


@pytest.mark.parametrize("bad", [{"frames": 3}, {"frames": 0}, {"bitrate": 100}])
def test_a_mode_that_cannot_be_sent_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="frames|bit rate"):
        SpeechMode(**bad)


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


@in_virtual_time
async def test_a_cancellation_that_meets_a_block_is_not_lost() -> None:
    track = BlockAudioTrack(CLOCK, zero_ms=0.0, patience_ms=1000.0)
    track.put_block(AudioBlock(tone(1), 0.0))
    await track.recv()
    reader = asyncio.create_task(track.recv())
    await asyncio.sleep(0.01)  # of the loop's own time: the reader waits
    track.put_block(AudioBlock(tone(1), 20.0))
    reader.cancel()  # the wait is over, but its reader has not run yet
    with pytest.raises(asyncio.CancelledError):
        await reader
