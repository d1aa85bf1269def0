"""Pack speech: Opus at a bit rate that may change, one or two frames of 20 ms to a packet."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from realtime.media import BLOCK_SAMPLES
from realtime.rtc.send.opus import OpusEncoder, join_frames

QUIET_RMS: Final = 300.0
"""RMS in int16 steps (-41 dBFS) of a block in which a new encoder is not heard."""

PENDING_BLOCKS: Final = 50


@dataclass(frozen=True, slots=True)
class SpeechMode:
    """How speech is sent.

    Attributes:
        bitrate: bit rate of Opus, 6000..510000 bit/s.
        expected_loss: expected loss in percent, which decides the share of in-band FEC.
        frames: frames of 20 ms in a packet, 1 or 2. RTP, SRTP, UDP and IP add 62 bytes to each packet: 25 kbit/s at 1.
    """

    bitrate: int = 24_000
    expected_loss: int = 10
    frames: int = 1

    def __post_init__(self) -> None:
        if self.frames not in (1, 2) or not 6_000 <= self.bitrate <= 510_000:
            raise ValueError("frames must be 1 or 2 and a bit rate is within 6000..510000 bit/s")


class SpeechPacker:
    """Encode blocks of 20 ms into payloads. Not thread-safe.

    A change of bit rate waits for a pause in the speech, a second at most: PyAV cannot change an open encoder, and a
    new one in the middle of a vowel can be heard.
    """

    def __init__(self, mode: SpeechMode) -> None:
        self.mode = mode
        self._encoding = mode
        self._encoder = OpusEncoder(mode.bitrate, expected_loss=mode.expected_loss)
        self._waited = 0
        self._held: tuple[int, bytes] | None = None

    def push(self, samples: NDArray[np.int16], timestamp: int) -> list[tuple[int, bytes]]:
        """Encode `samples` (960,) int16 of `timestamp` (48 kHz); return (timestamp, payload) of the packets due now."""
        self._follow(samples)
        frame = self._encoder.encode(samples)
        held, self._held = self._held, None
        if held is not None:
            joined = join_frames(held[1], frame) if timestamp == held[0] + BLOCK_SAMPLES else None
            return [held, (timestamp, frame)] if joined is None else [(held[0], joined)]
        if self.mode.frames == 1:
            return [(timestamp, frame)]
        self._held = (timestamp, frame)
        return []

    def _follow(self, samples: NDArray[np.int16]) -> None:
        wanted = (self.mode.bitrate, self.mode.expected_loss)
        if wanted == (self._encoding.bitrate, self._encoding.expected_loss):
            self._waited = 0
            return
        self._waited += 1
        quiet = float(np.sqrt(np.mean(np.square(samples.astype(np.float32))))) < QUIET_RMS
        if quiet or self._waited > PENDING_BLOCKS:
            self._encoding = self.mode
            self._encoder = OpusEncoder(self.mode.bitrate, expected_loss=self.mode.expected_loss)
