"""Opus: in-band FEC brings back what was lost, the codec conceals, and all of it is optional."""

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from realtime.media_file import read_audio_blocks
from realtime.rtc.send import opus
from realtime.rtc.send.opus import OpusDecoder, OpusEncoder, has_lbrr, join_frames, split_frames

CLIP = Path(__file__).parents[4] / "client" / "assets" / "caller.mp4"
libopus = pytest.mark.skipif(not OpusDecoder().has_fec, reason="needs libopus: apt-get install libopus0")


@pytest.fixture(scope="module")
def speech() -> NDArray[np.int16]:
    sound = np.concatenate(list(read_audio_blocks(CLIP, 48_000)))[: 48_000 * 6]
    return np.asarray(sound * 32767.0 if sound.dtype != np.int16 else sound, np.int16).reshape(-1, 960)


@pytest.fixture(scope="module")
def packets(speech: NDArray[np.int16]) -> list[bytes]:
    encoder = OpusEncoder()
    return [packet for block in speech if (packet := encoder.encode(block))]


def envelope(block: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(np.square(block.astype(float)))))


@libopus
def test_a_lost_packet_comes_back_from_the_next_one(packets: list[bytes]) -> None:
    whole, lossy = OpusDecoder(), OpusDecoder()
    true: list[float] = []
    recovered: list[float] = []
    for i, packet in enumerate(packets):
        block = whole(packet)
        assert block is not None
        if i % 5 != 4 or i + 1 >= len(packets):
            assert lossy(packet) is not None
            continue
        copy = lossy.recover(packets[i + 1])
        if copy is not None and envelope(block) > 300:
            true.append(envelope(block))
            recovered.append(envelope(copy))
        elif copy is None:
            assert lossy.conceal() is not None
    assert len(recovered) > 15, "hardly any packet held the one before it"
    assert np.corrcoef(true, recovered)[0, 1] > 0.9


@libopus
def test_both_decoders_hear_the_same(packets: list[bytes]) -> None:
    one, other = OpusDecoder(), OpusDecoder(libopus=False)
    a = np.concatenate([block for p in packets if (block := one(p)) is not None]).astype(float)
    b = np.concatenate([block for p in packets if (block := other(p)) is not None]).astype(float)
    assert a.shape == b.shape
    assert np.mean((a - b) ** 2) < 1e-3 * np.mean(a**2)


@libopus
def test_concealment_goes_on_and_dies_away(packets: list[bytes]) -> None:
    decoder = OpusDecoder()
    loud = max(range(20, len(packets) - 20), key=lambda i: len(packets[i]))
    for packet in packets[:loud]:
        decoder(packet)
    levels = [envelope(block) for _ in range(15) if (block := decoder.conceal()) is not None]
    assert len(levels) == 15 and levels[0] > 100 and levels[-1] < 0.2 * levels[0]


def test_without_the_library_nothing_is_recovered_and_all_else_works(
    packets: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opus, "_libopus_module", lambda: None)
    decoder = OpusDecoder()
    assert not decoder.has_fec
    assert decoder(packets[10]) is not None
    assert decoder.recover(packets[11]) is None and decoder.conceal() is None


@pytest.mark.parametrize("junk", [b"", b"\xff", b"\x00" * 3, b"\x4b\xff\xff\xff", bytes(range(256)) * 5])
@pytest.mark.parametrize("library", [True, False])
def test_junk_gives_a_block_or_nothing(junk: bytes, library: bool, packets: list[bytes]) -> None:
    decoder = OpusDecoder(libopus=library)
    for call in (decoder, decoder.recover):
        block = call(junk)
        assert block is None or block.shape == (960,)
    assert decoder(packets[20]) is not None


def test_the_flag_is_read_where_the_standard_puts_it() -> None:
    # RFC 6716, 3.1: config 9 is SILK wideband 20 ms, mono, one frame; the LBRR flag follows one voice activity flag.
    assert has_lbrr(bytes([9 << 3, 0b0100_0000])) and not has_lbrr(bytes([9 << 3, 0b1000_0000]))
    # config 11: 60 ms, three voice activity flags
    assert has_lbrr(bytes([11 << 3, 0b0001_0000])) and not has_lbrr(bytes([11 << 3, 0b1110_0000]))
    # config 31 is CELT alone; code 1 packs two frames
    assert not has_lbrr(bytes([31 << 3, 0xFF])) and not has_lbrr(bytes([9 << 3 | 1, 0xFF]))


@settings(max_examples=100)
@given(st.integers(0, 63), st.binary(min_size=1, max_size=700), st.binary(min_size=1, max_size=700))
def test_two_frames_are_joined_and_split_again(config: int, first: bytes, second: bytes) -> None:
    one, two = bytes([config << 2]) + first, bytes([config << 2]) + second
    joined = join_frames(one, two)
    assert joined is not None and split_frames(joined) == [one, two]
    assert len(joined) <= len(one) + len(two) + 1
    assert split_frames(one) == [one]
    assert join_frames(one, bytes([config << 2 ^ 4]) + second) is None
    assert join_frames(joined, two) is None


@given(st.binary(max_size=300))
def test_splitting_junk_loses_no_bytes_of_sound(junk: bytes) -> None:
    frames = split_frames(junk)
    assert 1 <= len(frames) <= 2
    assert sum(len(frame) for frame in frames) >= len(junk) - 3


def test_joined_packets_are_what_any_decoder_takes(packets: list[bytes]) -> None:
    joined = join_frames(packets[40], packets[41])
    codec = av.CodecContext.create("libopus", "r")
    assert joined is not None
    assert sum(frame.samples for frame in codec.decode(av.Packet(joined))) == 1920
