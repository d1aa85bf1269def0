"""A call on simulated time: a `CallPath` fed over a seeded bad link by a caller whose clock is wrong.

The caller's video is scripted (it pauses 250 ms into a narrow link and is back a second after it), packets are sized as
on the wire, and every frame carries its number, so that skew is known without the path's own counters.
"""

import asyncio
import contextlib
import heapq
import math
import time
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.avskew.film import Film, make_film
from benchmarks.soak.gauges import read
from benchmarks.soak.lockstep import LockstepSynth
from benchmarks.soak.parts import make_renderer
from benchmarks.soak.record import SoakRecord
from benchmarks.soak.step_clock import StepClock
from models.generator import Image
from realtime.media import BLOCK_MS, BLOCK_SAMPLES, AudioBlock, FrameKind, OutputFrame, VideoFrame
from realtime.rtc.badlink.link import ImpairedLink, LinkStep, LinkTrace
from realtime.rtc.node.path import OPUS_DELAY_MS, CallPath
from realtime.rtc.receive.rtpclock import StreamPair
from realtime.rtc.send.opus import OpusEncoder

FRAME_MS = 40.0
PERIOD_S, NARROW_S, NARROW_LASTS_S, DEAD_S, DEAD_LASTS_S = 40.0, 15.0, 4.0, 30.0, 1.0
LOSS, JITTER_MS, DELAY_MS = 0.03, 30.0, 20.0
PPM = 100.0
SPEECH_S = 24.0
FRAME_PACKETS, PACKET_BYTES, AUDIO_BYTES_MORE = 3, 1000, 38
REPAIR_MS = 60.0
ZERO_MS = 10_000.0
AUDIO_FIRST, VIDEO_FIRST = (1 << 32) - 48_000 * 60, (1 << 32) - 90_000 * 90
"""RTP timestamps wrap in the first two minutes."""


def script(minutes: float) -> LinkTrace:
    """Return the link: every 40 s 4 s at 60 kbit/s and 1 s of nothing, 3 % loss and 30 ms jitter all the time."""
    steps: list[LinkStep] = []
    for turn in range(math.ceil(minutes * 60.0 / PERIOD_S)):
        at_s = turn * PERIOD_S
        for from_s, rate in (
            (0.0, 2000.0), (NARROW_S, 60.0), (NARROW_S + NARROW_LASTS_S, 2000.0),
            (DEAD_S, 0.0), (DEAD_S + DEAD_LASTS_S, 2000.0),
        ):  # fmt: skip
            steps.append(LinkStep((at_s + from_s) * 1000.0, rate, DELAY_MS, JITTER_MS, LOSS))
    return LinkTrace(tuple(steps))


def paused(sent_ms: float) -> bool:
    """Return whether the caller's video rests at `sent_ms` of the call."""
    within_s = sent_ms / 1000.0 % PERIOD_S
    return NARROW_S + 0.25 <= within_s < NARROW_S + NARROW_LASTS_S + 1.0


def sent_at(caller_ms: float, half_ms: float) -> float:
    """Return true ms of the call at `caller_ms` of a clock 100 ppm fast up to `half_ms`, then as much slow."""
    fast, slow = 1.0 + PPM * 1e-6, 1.0 - PPM * 1e-6
    turned = half_ms * fast
    return caller_ms / fast if caller_ms <= turned else half_ms + (caller_ms - turned) / slow


class SimulatedCall:
    """Run one call of `minutes` at most `speed` times as fast as real. One event loop, one `run`."""

    def __init__(
        self, minutes: float, speed: float, *, renderer: str, seed: int, tell: Callable[[str], None] = print
    ) -> None:
        self._minutes, self._speed, self._tell = minutes, speed, tell
        self._film: Film = make_film(SPEECH_S, seed=seed)
        self._packets = encoded(self._film)
        self._link = ImpairedLink(script(minutes), seed=seed)
        self._clock = StepClock(ZERO_MS)
        self._pair = StreamPair()
        made, window = make_renderer(renderer)
        self._synth = LockstepSynth(made, observe_every=3 if renderer == "lite" else 1)
        self._path = CallPath(
            self._clock, window, self._synth, on_block=self._block, on_frame=self._frame, source_ms=self._pair.audio_ms
        )
        self._arrivals: list[tuple[float, int, Callable[[float], None]]] = []
        self._count = 0
        self._sounded: deque[tuple[float, float | None]] = deque(maxlen=8)
        self._heard: tuple[int, float] | None = None
        self._flows = True
        self._seen = SoakRecord()

    async def run(self) -> SoakRecord:
        """Run the call to its end."""
        before = set(asyncio.all_tasks())
        began = time.monotonic()
        running = asyncio.create_task(self._path.run())
        try:
            async with asyncio.timeout(10.0):
                while self._clock.sleepers < 2:  # its sound and its picture  # noqa: ASYNC110
                    await asyncio.sleep(0)
            await self._play(began)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running  # a path that broke down says why
            self._synth.close()
        seen = self._seen
        seen.wall_s = time.monotonic() - began
        seen.counters = self._path.snapshot()
        seen.counts["errors"] = self._synth.errors
        if self._synth.errors:
            self._tell(f"the renderer failed, at last with {self._synth.last_error}")
        seen.tasks_left = [task.get_name() for task in asyncio.all_tasks() - before]
        return seen

    async def _play(self, began: float) -> None:
        half_ms, next_s, last_said = self._minutes * 30_000.0, 1, began
        for caller_ms, send in self._sends():
            sent_ms = sent_at(caller_ms, half_ms)
            if sent_ms > self._minutes * 60_000.0:
                return
            await self._deliver_until(ZERO_MS + sent_ms)
            send(sent_ms, caller_ms)
            if sent_ms >= next_s * 1000.0:
                self._look(sent_ms)
                next_s += 1
                ahead_s = sent_ms / 1000.0 / self._speed - (time.monotonic() - began)
                if ahead_s > 0.0:
                    await asyncio.sleep(ahead_s)
                if time.monotonic() - last_said > 10.0:
                    last_said = time.monotonic()
                    self._say(sent_ms, last_said - began)

    def _sends(self) -> Iterator[tuple[float, Callable[[float, float], None]]]:
        """Yield when, by its own clock, the caller sends what; in order, without end."""
        index = 0
        while True:
            yield index * BLOCK_MS, self._send_audio
            if index % 2 == 0:
                yield index * BLOCK_MS, self._send_video
            if index % 50 == 25:
                yield index * BLOCK_MS, self._send_reports
            index += 1

    # --- the caller --------------------------------------------------------------------------------------------------

    def _send_audio(self, sent_ms: float, caller_ms: float) -> None:
        number = round(caller_ms / BLOCK_MS)
        payload = self._packets[number % len(self._packets)]
        timestamp = (AUDIO_FIRST + number * BLOCK_SAMPLES) % (1 << 32)

        def arrived(at_ms: float) -> None:
            self._pair.audio.observe(timestamp, at_ms)
            self._heard = timestamp, caller_ms
            self._path.audio_packet(number & 0xFFFF, timestamp, payload, at_ms)

        self._arrive(self._link.send(sent_ms, len(payload) + AUDIO_BYTES_MORE), arrived)

    def _send_video(self, sent_ms: float, caller_ms: float) -> None:
        flows = not paused(sent_ms)
        if flows != self._flows:
            self._flows = flows
            at = self._link.send(sent_ms, 100)
            # Said again until it is acked.
            self._arrive(sent_ms + 300.0 if at is None else at, lambda at_ms: self._path.video_flows(flows))
        if not flows:
            return
        number = round(caller_ms / FRAME_MS)
        timestamp = (VIDEO_FIRST + number * 3600) % (1 << 32)
        parts = [self._link.send(sent_ms, PACKET_BYTES) for _ in range(FRAME_PACKETS)]
        got = [at for at in parts if at is not None]
        if not got:
            return

        def arrived(at_ms: float) -> None:
            self._pair.video.observe(timestamp, at_ms)
            frame = VideoFrame(numbered(self._film, number), self._pair.video_ms(timestamp))
            self._path.video_frame(frame, at_ms)

        # A part that is missing comes by retransmission.
        self._arrive(max(got) + (REPAIR_MS if len(got) < len(parts) else 0.0), arrived)

    def _send_reports(self, sent_ms: float, caller_ms: float) -> None:
        def arrived(at_ms: float) -> None:
            if self._pair.audio.ready and self._pair.video.ready:
                number = round(caller_ms / BLOCK_MS)
                self._pair.audio.sender_report(caller_ms, (AUDIO_FIRST + number * BLOCK_SAMPLES) % (1 << 32))
                self._pair.video.sender_report(caller_ms, (VIDEO_FIRST + round(caller_ms * 90)) % (1 << 32))

        self._arrive(self._link.send(sent_ms, 60), arrived)

    def _arrive(self, at_ms: float | None, arrived: Callable[[float], None]) -> None:
        if at_ms is not None:
            heapq.heappush(self._arrivals, (ZERO_MS + at_ms, self._count, arrived))
            self._count += 1

    async def _deliver_until(self, until_ms: float) -> None:
        while self._arrivals and self._arrivals[0][0] <= until_ms:
            at_ms, _, arrived = heapq.heappop(self._arrivals)
            await self._clock.advance(max(at_ms, self._clock.now_ms()))
            arrived(at_ms)
        await self._clock.advance(until_ms)

    # --- what leaves -------------------------------------------------------------------------------------------------

    def _block(self, block: AudioBlock) -> None:
        self._sounded.append((block.leaves_ms, block.source_ms))

    def _frame(self, frame: OutputFrame) -> None:
        self._seen.counts[frame.kind.value] += 1
        if frame.kind is not FrameKind.REAL or self._heard is None:
            return
        beside = [
            (out, source) for out, source in self._sounded if source is not None and out <= frame.leaves_ms + 1e-6
        ]
        if not beside or frame.leaves_ms - beside[-1][0] > 2 * BLOCK_MS:
            return
        out_ms, source_ms = beside[-1]
        timestamp, caller_ms = self._heard
        # Opus has it heard later than its stamp says.
        source_ms -= OPUS_DELAY_MS
        sound_ms = source_ms + frame.leaves_ms - out_ms - (self._pair.audio_ms(timestamp) - caller_ms)
        self._seen.skew_ms.append(number_of(frame.image) * FRAME_MS - sound_ms)

    def _look(self, sent_ms: float) -> None:
        playout, seen = self._path.playout, self._seen
        seen.readings.append(read(sent_ms / 3.6e6))
        seen.delay_ms.append(playout.delay_ms)
        seen.target_ms.append(playout.wanted_ms)
        seen.line_ms.append(self._path.speech.line.fill_ms)

    def _say(self, sent_ms: float, wall_s: float) -> None:
        seen, reading = self._seen, self._seen.readings[-1]
        skew = float(np.percentile(np.abs(seen.skew_ms[-1000:]), 95)) if seen.skew_ms else float("nan")
        self._tell(
            f"{sent_ms / 60_000:6.1f} of {self._minutes:g} min, {sent_ms / 1000 / wall_s:5.1f}x, "
            f"{reading.rss_mb:7.1f} MiB, skew p95 {skew:5.1f} ms, delay {seen.delay_ms[-1]:5.1f} ms, "
            f"{dict(seen.counts)}"
        )


def encoded(film: Film) -> list[bytes]:
    """Return the film's sound as Opus packets, one for each 20 ms."""
    encoder = OpusEncoder()
    count = len(film.samples) // BLOCK_SAMPLES
    return [encoder.encode(film.samples[i * BLOCK_SAMPLES : (i + 1) * BLOCK_SAMPLES]) for i in range(count)]


def numbered(film: Film, number: int) -> Image:
    """Return frame `number` of the film with its number in its first bytes."""
    image = film.image(number)
    image[0, 0] = list(number.to_bytes(3, "big"))
    return image


def number_of(image: Image) -> int:
    """Return the number that `numbered` wrote."""
    return int.from_bytes(image[0, 0].tobytes(), "big")
