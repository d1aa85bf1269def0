"""The way of speech from packets to blocks: one delay behind the fastest packet, and as little of it as will do.

Pure; the decoder is handed in. Packets are decoded as soon as they are in order, so that the lips hear ahead. What is
decoded waits in a line, and the length of that line is the delay: what jitter needs (40 to 120 ms), or more while the
picture or synthesis needs it. Towards a new delay the sound goes a little faster or slower, at its own pitch.
"""

import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Protocol

import numpy as np

from realtime.media import AUDIO_RATE, BLOCK_MS, BLOCK_SAMPLES, AudioBlock
from realtime.speech.audio import SpeechPath
from realtime.speech.conceal import Block
from realtime.speech.delay import DelayConfig, DelayTarget
from realtime.speech.jitter import Found, JitterBuffer, JitterConfig, Unit

_PER_MS = AUDIO_RATE / 1000.0


class Decoder(Protocol):
    """Turn packets into sound; `realtime.rtc.send.opus.OpusDecoder` is one. Blocks are (960,) int16 at 48 kHz."""

    def __call__(self, payload: bytes) -> Block | None:
        """Return the block of a packet; None when it is broken."""

    def recover(self, following: bytes) -> Block | None:
        """Return the block before `following`, of which that packet holds a copy; None when it holds none."""

    def conceal(self) -> Block | None:
        """Return a block in place of a lost one; None when the decoder cannot."""


@dataclass(frozen=True, slots=True)
class PlayoutConfig:
    """Set the playout; times in ms.

    Attributes:
        delay: the target that follows the jitter.
        buffer: order and loss.
        tolerance_ms: a delay this far from the target is changed by whole pitch periods; a smaller one by the rate.
        haste_ms: further off than this, every block may be changed, else every second one.
        trim_per_ms: change of the reading rate for each ms off the target: a drift of 100 ppm rests 5 ms off.
        trim_most: largest change of the rate; nobody hears 0.03 %.
        behind_most_ms: most that synthesis adds to its delay because speech queues on the link.
        keep_ms: of the jitter before synthesis ended, only so much counts after it: pictures have come steadily for
            about as long, so that the link is good again.
        decoder_conceals: so many blocks in a row may be the decoder's concealment; then it fades out.
    """

    delay: DelayConfig = field(default_factory=DelayConfig)
    buffer: JitterConfig = field(default_factory=JitterConfig)
    tolerance_ms: float = 12.0
    haste_ms: float = 60.0
    trim_per_ms: float = 20e-6
    trim_most: float = 300e-6
    behind_most_ms: float = 80.0
    keep_ms: float = 1_000.0
    decoder_conceals: int = 5


@dataclass(slots=True)
class PlayoutStats:
    """Count since the start, as W3C webrtc-stats: samples at 48 kHz, delays in seconds summed over samples emitted.

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

    `source_ms(timestamp)` maps an RTP timestamp (32 bits) to the caller's time in ms; `on_heard(media_ms, source_ms)`
    is called for every 20 ms that enter `speech`, source_ms None while they are concealed or unknown.
    """

    def __init__(
        self,
        speech: SpeechPath,
        decoder: Decoder,
        config: PlayoutConfig | None = None,
        *,
        source_ms: Callable[[int], float] | None = None,
        on_heard: Callable[[float, float | None], None] | None = None,
    ) -> None:
        self.config = config or PlayoutConfig()
        self.stats = PlayoutStats()
        self.source_ms = source_ms
        self._speech = speech
        self._decode = decoder
        self._on_heard = on_heard
        self._buffer = JitterBuffer(self.config.buffer)
        self._target = DelayTarget(self.config.delay)
        self._stream = 0
        self._now_ms = 0.0
        """When the first sample of the line is played."""
        self._wanted_ms = self.config.delay.low_ms
        self._changed_last = False
        self._playing = False
        self._behind_ms = 0.0
        self._ahead = False
        self.blocks_concealed = 0
        """Blocks concealed in a row up to now."""

    @property
    def delay_ms(self) -> float:
        """Return how long after its arrival the fastest packet is played, in ms; as of the last block."""
        return self._now_ms + self._speech.line.fill_ms - self._buffer.cursor / _PER_MS - self._target.floor_ms

    @property
    def wanted_ms(self) -> float:
        """Return the delay that is aimed at, in ms."""
        return self._wanted_ms

    def push(self, sequence: int, timestamp: int, payload: bytes, arrival_ms: float, *, packet_frames: int = 1) -> None:
        """Take a frame of 20 ms: 16-bit `sequence` of its packet, its own 32-bit RTP timestamp.

        `packet_frames` says how many frames its packet held.
        """
        at = self._buffer.push(
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

        More delay than jitter needs is kept only for others: `picture_ms` behind the fastest packet so that the picture
        is in time, `synthesis_ms` behind the newest sound so that lips hear ahead.

        Returns:
            None before the first packet is due, unless silence was begun.
        """
        self._now_ms = now_ms
        line = self._speech.line
        while (unit := self._fetch(urgent=False)) is not None:
            self._hear(unit)
        if self._ahead and not synthesis_ms:
            self._target.keep(self.config.keep_ms)
        self._ahead = synthesis_ms > 0.0
        behind_ms = self._behind()
        ahead_ms = synthesis_ms + behind_ms if synthesis_ms else 0.0
        self._wanted_ms = max(self._target.target_ms, picture_ms, ahead_ms)
        while not line.ready:
            unit = self._fetch(urgent=True)
            if unit is not None:
                self._hear(unit)
            elif self._playing:
                self._hear(Unit(Found.SILENT, None))
            else:
                return None
        self._playing = True
        off_ms = self.delay_ms - self._wanted_ms
        self._approach(off_ms)
        trim = self.config.trim_most
        self.stats.totalSamplesReceived += BLOCK_SAMPLES
        block = self._speech.pull(min(max(off_ms * self.config.trim_per_ms, -trim), trim))
        self._now_ms = now_ms + BLOCK_MS  # what is left begins to play then
        return block

    def _behind(self) -> float:
        """Return by how much less than the delay is here to be heard ahead: speech that queues on a narrow link.

        The highest of late, falling by 40 ms a second; the age of the newest packet, up to one block, is no queue. More
        than `behind_most_ms` is not waited for: lips that hear less ahead are better than an answer that comes late.
        """
        behind_ms = min(self.delay_ms - self._speech.line.fill_ms - BLOCK_MS, self.config.behind_most_ms)
        self._behind_ms = max(behind_ms, self._behind_ms - 0.8, 0.0)
        return self._behind_ms

    def snapshot(self) -> dict[str, float]:
        """Return the counters and the present delays in ms, ready for JSON."""
        return {**asdict(self.stats), "playoutDelayMs": self.delay_ms, "jitterTargetMs": self._target.target_ms,
                "playoutTargetMs": self._wanted_ms}  # fmt: skip

    def _fetch(self, *, urgent: bool) -> Unit | None:
        # What is waited for must be in time: a hole is given up one block before it is played.
        reorder_ms = max(BLOCK_MS, self._target.target_ms - BLOCK_MS)
        excess_ms = max(0.0, self.delay_ms - self._wanted_ms)
        return self._buffer.fetch(self._now_ms, urgent=urgent, reorder_ms=reorder_ms, excess_ms=excess_ms)

    def _hear(self, unit: Unit) -> None:
        source_ms = None
        if unit.timestamp is not None and self.source_ms is not None:
            # A connection that has just begun may not know its packets' time yet: that ends no call.
            with contextlib.suppress(LookupError, RuntimeError):
                source_ms = self.source_ms(unit.timestamp & 0xFFFFFFFF)
        media_ms = self._speech.head_ms
        samples = self._genuine(unit)
        if samples is None:
            source_ms = None
            self._conceal()
        else:
            self._speech.push(samples, source_ms, cut=unit.found is Found.SILENT)
            self.blocks_concealed = 0
        if self._on_heard is not None:
            self._on_heard(media_ms, source_ms)

    def _genuine(self, unit: Unit) -> Block | None:
        if unit.found is Found.SILENT:
            self.stats.dtxSamples += BLOCK_SAMPLES
            return np.zeros(BLOCK_SAMPLES, np.int16)
        if unit.found is Found.LOST and unit.following is not None:
            samples = self._decode.recover(unit.following)
            self.stats.fecSamples += 0 if samples is None else BLOCK_SAMPLES
            return samples
        samples = None if unit.payload is None else self._decode(unit.payload)
        if samples is not None:
            waited_ms = max(0.0, self._now_ms + self._speech.line.fill_ms - unit.arrival_ms)
            self.stats.jitterBufferDelay += waited_ms / 1000.0 * BLOCK_SAMPLES
            self.stats.jitterBufferTargetDelay += self._wanted_ms / 1000.0 * BLOCK_SAMPLES
            self.stats.jitterBufferEmittedCount += BLOCK_SAMPLES
        return samples

    def _conceal(self) -> None:
        self.stats.concealedSamples += BLOCK_SAMPLES
        self.stats.concealmentEvents += self.blocks_concealed == 0
        self.blocks_concealed += 1
        made = self._decode.conceal() if self.blocks_concealed <= self.config.decoder_conceals else None
        silent = self.blocks_concealed > self.config.decoder_conceals + 3
        self.stats.silentConcealedSamples += BLOCK_SAMPLES * silent
        self._speech.push(made, invented=True)

    def _approach(self, off_ms: float) -> None:
        """Change the delay by one pitch period where it is off, not in every block unless there is haste."""
        line, config = self._speech.line, self.config
        excess_ms = line.fill_ms - config.buffer.max_ms - 5 * BLOCK_MS
        if excess_ms > 0.0:
            line.drop(excess_ms)
            return
        haste = abs(off_ms) > config.haste_ms
        if abs(off_ms) < config.tolerance_ms or (self._changed_last and not haste):
            self._changed_last = False
            return
        if off_ms > 0.0:
            changed_ms = line.shorten(off_ms, haste=haste)
            self.stats.removedSamplesForAcceleration += round(changed_ms * _PER_MS)
        else:
            changed_ms = line.lengthen(-off_ms, haste=haste)
            self.stats.insertedSamplesForDeceleration += round(changed_ms * _PER_MS)
        self._changed_last = changed_ms > 0.0
