"""Opus speech (RFC 6716), mono at 48 kHz in 20 ms packets: encoded by PyAV, decoded by libopus or PyAV."""

from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from realtime.media import AUDIO_RATE, BLOCK_SAMPLES

TIME_BASE = Fraction(1, AUDIO_RATE)


class OpusEncoder:
    """Encode speech with in-band FEC; not thread-safe, about 0.2 ms a block."""

    def __init__(self, bitrate: int = 24_000, *, expected_loss: int = 10) -> None:
        """Aim at `bitrate` bit/s, with a share of in-band FEC for `expected_loss` in percent."""
        if not 6_000 <= bitrate <= 510_000:
            raise ValueError("an Opus bit rate is within 6000..510000 bit/s")
        codec = av.CodecContext.create("libopus", "w")
        assert isinstance(codec, AudioCodecContext)
        codec.bit_rate = bitrate
        codec.format = av.AudioFormat("s16")
        codec.layout = av.AudioLayout("mono")
        codec.sample_rate = AUDIO_RATE
        codec.time_base = TIME_BASE
        # Constrained VBR: no packet is much larger than the mean, so that a narrow link carries them all.
        codec.options = {"application": "voip", "frame_duration": "20", "vbr": "constrained",
                         "fec": "1", "packet_loss": str(expected_loss)}  # fmt: skip
        self._codec = codec

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Encode `samples` (960,) int16 into one packet payload.

        Raises:
            ValueError: not 960 samples of int16.
        """
        if samples.shape != (BLOCK_SAMPLES,) or samples.dtype != np.int16:
            raise ValueError(f"an audio block is int16 ({BLOCK_SAMPLES},), not {samples.dtype} {samples.shape}")
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis, :], format="s16", layout="mono")
        frame.sample_rate = AUDIO_RATE
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))


class OpusDecoder:
    """Decode 20 ms packets, mono or stereo, to mono. Not thread-safe, about 0.1 ms a packet.

    With the system's libopus (through opuslib-next) lost packets are recovered from the next one's in-band FEC, or
    concealed by the codec. PyAV offers neither (ffmpeg's wrapper never asks for FEC): it decodes where libopus is
    missing, and then `recover` and `conceal` have nothing to give.
    """

    def __init__(self, *, libopus: bool = True) -> None:
        self._libopus = _open_libopus() if libopus else None
        self._codec = None if self._libopus else self._create()

    @property
    def has_fec(self) -> bool:
        """Whether `recover` and `conceal` work on this machine."""
        return self._libopus is not None

    def __call__(self, payload: bytes) -> NDArray[np.int16] | None:
        """Return the samples (960,) int16 of one packet, or None if it is empty, broken or not 20 ms long."""
        if not payload:
            return None
        if self._libopus is not None:
            return _decode(self._libopus, payload, fec=False)
        assert self._codec is not None
        try:
            frames = self._codec.decode(av.Packet(payload))
        except av.FFmpegError:
            self._codec = self._create()  # an error may leave the context unable to go on
            return None
        samples = [frame.to_ndarray().reshape(-1) for frame in frames]
        joined = np.concatenate(samples) if samples else np.zeros(0, np.int16)
        return joined.astype(np.int16, copy=False) if joined.shape == (BLOCK_SAMPLES,) else None

    def recover(self, following: bytes) -> NDArray[np.int16] | None:
        """Return the (960,) int16 samples before `following`, from its in-band FEC (RFC 6716, 2.1.7), or None.

        Call it before `following` itself is decoded.
        """
        if self._libopus is None or not has_lbrr(following):
            return None
        return _decode(self._libopus, following, fec=True)

    def conceal(self) -> NDArray[np.int16] | None:
        """Return (960,) int16 samples in place of a packet that is lost; None where the codec cannot."""
        return None if self._libopus is None else _decode(self._libopus, b"", fec=False)

    @staticmethod
    def _create() -> AudioCodecContext:
        codec = av.CodecContext.create("libopus", "r")
        assert isinstance(codec, AudioCodecContext)
        codec.format = av.AudioFormat("s16")
        codec.layout = av.AudioLayout("mono")
        codec.sample_rate = AUDIO_RATE
        return codec


def join_frames(first: bytes, second: bytes) -> bytes | None:
    """Return one packet with the frames of two (RFC 6716, 3.2.4, code 2); None when they differ or are not single."""
    if len(first) < 2 or len(second) < 2 or first[0] != second[0] or first[0] & 0x03:
        return None
    size = len(first) - 1
    length = bytes([size]) if size < 252 else bytes([252 + size % 4, (size - 252 - size % 4) // 4])
    return bytes([first[0] | 0x02]) + length + first[1:] + second[1:]


def split_frames(payload: bytes) -> list[bytes]:
    """Return the packets of one frame each that `payload` (codes 0 to 2) holds; itself when it cannot be split."""
    code = payload[0] & 0x03 if payload else 0
    body, single = payload[1:], payload[:1] and bytes([payload[0] & 0xFC])
    if code == 1 and len(body) % 2 == 0:
        half = len(body) // 2
        return [single + body[:half], single + body[half:]]
    if code == 2 and body:
        wide = body[0] >= 252
        if wide and len(body) < 2:
            return [payload]
        size, begin = (body[0] + 4 * body[1], 2) if wide else (body[0], 1)
        if begin + size <= len(body):
            return [single + body[begin : begin + size], single + body[begin + size :]]
    return [payload]


def has_lbrr(payload: bytes) -> bool:
    """Return whether a packet repeats the frame before it at a low bit rate (LBRR; RFC 6716, 3.1 and 4.2.4).

    The LBRR flag is the bit after the voice activity flags, of which there is one for each 20 ms of SILK. Only
    packets of one frame are looked at: longer ones are split (`split_frames`) before they are decoded.
    """
    if len(payload) < 2 or payload[0] & 0x03:
        return False
    config = payload[0] >> 3
    if config >= 16:  # CELT alone has none
        return False
    silk_frames = {2: 2, 3: 3}.get(config % 4, 1) if config < 12 else 1
    return bool(payload[1] >> (7 - silk_frames) & 1)


@cache
def _libopus_module() -> Any:
    try:
        import opuslib_next
    except Exception:  # the package raises Exception itself where the C library is missing
        return None
    return opuslib_next


def _open_libopus() -> Any:
    module = _libopus_module()
    return None if module is None else module.Decoder(AUDIO_RATE, 1)


def _decode(decoder: Any, payload: bytes, *, fec: bool) -> NDArray[np.int16] | None:
    try:
        pcm = decoder.decode(payload, BLOCK_SAMPLES, fec)
    except _libopus_module().OpusError:
        return None
    samples = np.frombuffer(pcm, np.int16)
    return samples if samples.shape == (BLOCK_SAMPLES,) else None
