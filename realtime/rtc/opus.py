"""Opus speech (RFC 6716), mono at 48 kHz in 20 ms packets, through PyAV's libopus."""

from fractions import Fraction

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from realtime.media import AUDIO_RATE, BLOCK_SAMPLES

TIME_BASE = Fraction(1, AUDIO_RATE)


class OpusEncoder:
    """Encode speech; not thread-safe, about 0.2 ms a block."""

    def __init__(self, bitrate: int = 24_000) -> None:
        if not 6_000 <= bitrate <= 510_000:
            raise ValueError("an Opus bit rate is within 6000..510000 bit/s")
        codec = av.CodecContext.create("libopus", "w")
        assert isinstance(codec, AudioCodecContext)
        codec.bit_rate = bitrate
        codec.format = av.AudioFormat("s16")
        codec.layout = av.AudioLayout("mono")
        codec.sample_rate = AUDIO_RATE
        codec.time_base = TIME_BASE
        # Constrained VBR keeps a narrow link's arithmetic true: no packet is much larger than the mean.
        codec.options = {"application": "voip", "frame_duration": "20", "vbr": "constrained"}
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

    PyAV cannot ask libopus to conceal a lost packet: that is the playout buffer's task.
    """

    def __init__(self) -> None:
        self._codec = self._create()

    def __call__(self, payload: bytes) -> NDArray[np.int16] | None:
        """Return the samples (960,) int16 of one packet, or None if it is empty, broken or not 20 ms long."""
        if not payload:
            return None
        try:
            frames = self._codec.decode(av.Packet(payload))
        except av.FFmpegError:
            self._codec = self._create()  # an error may leave the context unable to go on
            return None
        samples = [frame.to_ndarray().reshape(-1) for frame in frames]
        joined = np.concatenate(samples) if samples else np.zeros(0, np.int16)
        return joined.astype(np.int16, copy=False) if joined.shape == (BLOCK_SAMPLES,) else None

    @staticmethod
    def _create() -> AudioCodecContext:
        codec = av.CodecContext.create("libopus", "r")
        assert isinstance(codec, AudioCodecContext)
        codec.format = av.AudioFormat("s16")
        codec.layout = av.AudioLayout("mono")
        codec.sample_rate = AUDIO_RATE
        return codec
