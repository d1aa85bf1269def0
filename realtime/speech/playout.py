"""The way of speech from packets to blocks: one delay behind the fastest packet, and as little of it as will do.

Pure; the decoder is handed in. Packets are decoded as soon as they are in order, so that the lips hear ahead. What is
decoded waits in a line, and the length of that line is the delay: what jitter needs (40 to 120 ms), or more while the
picture or synthesis needs it. Towards a new delay the sound goes a little faster or slower, at its own pitch.
"""

import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final, Protocol

import numpy as np

from realtime.media import AUDIO_RATE, BLOCK_MS, BLOCK_SAMPLES, AudioBlock
from realtime.speech.audio import SpeechPath
from realtime.speech.conceal import Block, Concealer
from realtime.speech.delay import LOW_MS, DelayTarget
from realtime.speech.jitter import MAX_WAIT_MS, Found, Frame20ms, JitterBuffer
from realtime.speech.steering import Steering

_TOLERANCE_MS: Final = 12.0
"""Distance from the target in ms from which the delay is changed by pitch periods; a smaller one by the rate."""
_HASTE_MS: Final = 60.0
"""Distance from the target in ms beyond which every block may be changed, else every second one."""
_QUEUE_MOST_MS: Final = 80.0
"""Most that synthesis adds to its delay because speech queues on the link, in ms."""
_QUEUE_RELEASE_MS: Final = 0.8
"""Fall of that addition for each block, in ms: 40 ms a second."""
_KEEP_MS: Final = 1_000.0
"""Span in ms of the jitter before synthesis ended that still counts after it.

Pictures have come steadily for about as long, so that the link is good again.
"""
_DECODER_CONCEALS: Final = 5
"""Most blocks in a row that are the decoder's own concealment; then it fades out."""
_DROP_ABOVE_MS: Final = MAX_WAIT_MS + 5 * BLOCK_MS
"""Length of the line in ms above which the rest is dropped at once: no waiting explains it."""
_PER_MS: Final = AUDIO_RATE / 1000.0


class Decoder(Protocol):
    """Turn packets into sound; `realtime.rtc.send.opus.OpusDecoder` is one. Blocks are (960,) int16 at 48 kHz."""

    def __call__(self, payload: bytes) -> Block | None:
        """Return the block of a packet; None when it is broken."""

    def recover(self, following: bytes) -> Block | None:
        """Return the block before `following`, of which that packet holds a copy; None when it holds none."""

    def conceal(self) -> Block | None:
        """Return a block in place of a lost one; None when the decoder cannot."""


@dataclass(slots=True)
class PlayoutStats:
    """Counts since the start, as in W3C webrtc-stats: samples at 48 kHz, delays in seconds summed over samples emitted.

    `concealedSamples` include `silentConcealedSamples`; lost packets that in-band FEC brought back (`fecSamples`) and
    silence that was never sent (`dtxSamples`) are in neither.
    """

    jitterBufferDelay: float = 0.0
    jitterBufferTargetDelay: float = 0.0
    jitterBufferEmittedCount: int = 0
    totalSamplesReceived: int = 0
    concealedSamples: int = 0
    silentConcealedSamples: int = 0
    concealmentEvents: int = 0
    insertedSamplesForDeceleration: int = 0
    removedSamplesForAcceleration: int = 0
    packetsDiscarded: int = 0
    fecSamples: int = 0
    dtxSamples: int = 0


class SpeechPlayout:
    """Play one caller's speech. Not thread-safe.

    `source_ms(timestamp)` maps an RTP timestamp (32 bits) to the caller's time in ms; it may raise LookupError or
    RuntimeError while that is not known.
    """

    def __init__(
        self, speech: SpeechPath, decoder: Decoder, *, source_ms: Callable[[int], float] | None = None
    ) -> None:
        self.stats = PlayoutStats()
        self._source_ms = source_ms
        self._speech = speech
        self._decoder = decoder
        self._steering = Steering(speech.line, long_ms=_TOLERANCE_MS, short_ms=_TOLERANCE_MS, haste_ms=_HASTE_MS)
        self._buffer = JitterBuffer()
        self._target = DelayTarget()
        self._stream = 0
        self._now_ms = 0.0
        """When the first sample of the line is played."""
        self._wanted_ms = LOW_MS
        self._playing = False
        self._queue_ms = 0.0
        self._ahead = False
        self._concealed_run = 0

    @property
    def delay_ms(self) -> float:
        """Time from the arrival of the fastest packet to its playout, in ms; as of the last block."""
        return self._now_ms + self._speech.line.fill_ms - self._buffer.cursor / _PER_MS - self._target.floor_ms

    @property
    def wanted_ms(self) -> float:
        """Delay that is aimed at, in ms."""
        return self._wanted_ms

    def push_packet(
        self, sequence: int, timestamp: int, payload: bytes, arrival_ms: float, *, packet_frames: int = 1
    ) -> None:
        """Add a frame of 20 ms: 16-bit `sequence` of its packet, its own 32-bit RTP timestamp.

        `packet_frames` says how many frames its packet held.
        """
        at = self._buffer.push_packet(
            sequence, timestamp, payload, arrival_ms, wait_ms=self._wanted_ms, packet_frames=packet_frames
        )
        if self._stream != self._buffer.restarts:
            self._stream = self._buffer.restarts
            self._target.reset()
        if at is not None:
            self._target.add(at / _PER_MS, arrival_ms)
        self.stats.packetsDiscarded = self._buffer.packets_discarded

    def begin_silent(self) -> None:
        """Play silence until the first packet comes: somebody is to be seen who cannot be heard."""
        self._playing = True

    def block(self, now_ms: float, *, picture_ms: float = 0.0, synthesis_ms: float = 0.0) -> AudioBlock | None:
        """Return the 20 ms that leave at `now_ms`; call it every 20 ms.

        More delay than jitter needs is kept only for others: `picture_ms` after the fastest packet so that the picture
        is in time, `synthesis_ms` after the newest sound so that lips hear ahead.

        Returns:
            None before the first packet is due, unless silence was begun.
        """
        self._now_ms = now_ms
        line = self._speech.line
        while (frame := self._fetch(urgent=False)) is not None:
            self._decode_frame(frame)
        if self._ahead and not synthesis_ms:
            self._target.keep(_KEEP_MS)
        self._ahead = synthesis_ms > 0.0
        queue_ms = self._queued()
        ahead_ms = synthesis_ms + queue_ms if synthesis_ms else 0.0
        self._wanted_ms = max(self._target.target_ms, picture_ms, ahead_ms)
        while not line.ready:
            frame = self._fetch(urgent=True)
            if frame is not None:
                self._decode_frame(frame)
            elif self._playing:
                self._decode_frame(Frame20ms(Found.SILENT, None))
            else:
                return None
        self._playing = True
        off_ms = self.delay_ms - self._wanted_ms
        self._approach(off_ms)
        self.stats.totalSamplesReceived += BLOCK_SAMPLES
        block = self._speech.pull(self._steering.rate(off_ms))
        self._now_ms = now_ms + BLOCK_MS  # what is left begins to play then
        return block

    def _queued(self) -> float:
        """Return how much of the delay is not yet in the line, because speech still queues on the link, in ms.

        The highest of the last blocks, falling by 40 ms a second. The age of the newest packet, up to one block, is no
        queue. More than 80 ms is not waited for: lips with less lookahead are better than an answer that comes late.
        """
        queue_ms = min(self.delay_ms - self._speech.line.fill_ms - BLOCK_MS, _QUEUE_MOST_MS)
        self._queue_ms = max(queue_ms, self._queue_ms - _QUEUE_RELEASE_MS, 0.0)
        return self._queue_ms

    def snapshot(self) -> dict[str, float]:
        """Return the counters and the present delays in ms, ready for JSON."""
        return {**asdict(self.stats), "playoutDelayMs": self.delay_ms, "jitterTargetMs": self._target.target_ms,
                "playoutTargetMs": self._wanted_ms}  # fmt: skip

    def _fetch(self, *, urgent: bool) -> Frame20ms | None:
        # What is waited for must be in time: a hole is given up one block before it is played.
        reorder_ms = max(BLOCK_MS, self._target.target_ms - BLOCK_MS)
        excess_ms = max(0.0, self.delay_ms - self._wanted_ms)
        return self._buffer.fetch_frame(self._now_ms, urgent=urgent, reorder_ms=reorder_ms, excess_ms=excess_ms)

    def _decode_frame(self, frame: Frame20ms) -> None:
        """Push the sound of `frame` into `speech`, concealed where there is none."""
        samples = self._genuine(frame)
        if samples is None:
            self._conceal()
            return
        self._concealed_run = 0
        self._speech.push(samples, self._source_of(frame), cut=frame.found is Found.SILENT)

    def _source_of(self, frame: Frame20ms) -> float | None:
        if frame.timestamp is None or self._source_ms is None:
            return None
        # A connection that has just begun may not know its packets' time yet: that ends no call.
        with contextlib.suppress(LookupError, RuntimeError):
            return self._source_ms(frame.timestamp & 0xFFFFFFFF)
        return None

    def _genuine(self, frame: Frame20ms) -> Block | None:
        """Return the sound that the caller sent, silence included; None where it must be concealed."""
        if frame.found is Found.SILENT:
            self.stats.dtxSamples += BLOCK_SAMPLES
            return np.zeros(BLOCK_SAMPLES, np.int16)
        if frame.found is Found.LOST and frame.following is not None:
            samples = self._decoder.recover(frame.following)
            self.stats.fecSamples += 0 if samples is None else BLOCK_SAMPLES
            return samples
        samples = None if frame.payload is None else self._decoder(frame.payload)
        if samples is not None:
            waited_ms = max(0.0, self._now_ms + self._speech.line.fill_ms - frame.arrival_ms)
            self.stats.jitterBufferDelay += waited_ms / 1000.0 * BLOCK_SAMPLES
            self.stats.jitterBufferTargetDelay += self._wanted_ms / 1000.0 * BLOCK_SAMPLES
            self.stats.jitterBufferEmittedCount += BLOCK_SAMPLES
        return samples

    def _conceal(self) -> None:
        self.stats.concealedSamples += BLOCK_SAMPLES
        self.stats.concealmentEvents += self._concealed_run == 0
        self._concealed_run += 1
        made = self._decoder.conceal() if self._concealed_run <= _DECODER_CONCEALS else None
        silent = self._concealed_run > _DECODER_CONCEALS + Concealer.FADE_BLOCKS
        self.stats.silentConcealedSamples += BLOCK_SAMPLES * silent
        self._speech.push(made, invented=True)

    def _approach(self, off_ms: float) -> None:
        """Bring the delay, `off_ms` above what is wanted, nearer to it."""
        line = self._speech.line
        excess_ms = line.fill_ms - _DROP_ABOVE_MS
        if excess_ms > 0.0:
            line.drop(excess_ms)
            return
        added = round(self._steering.approach(off_ms) * _PER_MS)
        self.stats.insertedSamplesForDeceleration += max(added, 0)
        self.stats.removedSamplesForAcceleration += max(-added, 0)
