"""A bad link as arithmetic: rate, drop-tail queue, delay, jitter and loss over a scripted trace, without a clock. Pure.

The trace is known in advance, so the time at which a datagram leaves the queue is exact when it enters: its bits are
served in order at the rate of each step. Nothing has to be planned again when the rate changes.
"""

import json
import math
import random
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

IP_UDP_BYTES = 28


@dataclass(frozen=True, slots=True)
class LinkStep:
    """The link from `t_ms` on.

    Attributes:
        t_ms: time in ms from the trace's zero.
        rate_kbps: rate in kbit/s, IP and UDP headers included; inf without limit, 0 for an outage.
        delay_ms: delay in ms.
        jitter_ms: greatest addition to the delay in ms, uniform from 0.
        loss: share (0..1) of the datagrams that is lost.
    """

    t_ms: float
    rate_kbps: float = math.inf
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0

    def __post_init__(self) -> None:
        finite = all(math.isfinite(x) for x in (self.t_ms, self.delay_ms, self.jitter_ms, self.loss))
        if not finite or math.isnan(self.rate_kbps):
            raise ValueError("a link step needs finite numbers (rate_kbps may be inf)")
        if min(self.t_ms, self.rate_kbps, self.delay_ms, self.jitter_ms) < 0 or not 0 <= self.loss <= 1:
            raise ValueError("a link step needs times and rates >= 0 and loss within 0..1")


@dataclass(frozen=True, slots=True)
class LinkTrace:
    """The script of a link: steps in order of time, the first at 0; each holds until the next."""

    steps: tuple[LinkStep, ...]

    def __post_init__(self) -> None:
        times = [step.t_ms for step in self.steps]
        if not times or times[0] != 0.0:
            raise ValueError("a link trace begins with a step at t_ms 0")
        if any(b <= a for a, b in zip(times, times[1:], strict=False)):
            raise ValueError("the steps of a link trace must have rising t_ms")

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read `{"steps": [{"t_ms": 0, "rate_kbps": 60, ...}, ...]}`; rate null means unlimited.

        Raises:
            ValueError: not such a document; the text says what is wrong.
        """
        try:
            document: Any = json.loads(text)
            steps = tuple(cls._step(item) for item in document["steps"])
        except (KeyError, TypeError) as error:
            raise ValueError('a link trace is {"steps": [{"t_ms": ..., "rate_kbps": ...}, ...]}') from error
        return cls(steps)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a trace file; see `from_json`."""
        return cls.from_json(path.read_text(encoding="utf-8"))

    @staticmethod
    def _step(item: dict[str, Any]) -> LinkStep:
        known = {name: value for name, value in item.items() if name in LinkStep.__dataclass_fields__}
        if unknown := set(item) - set(known):
            raise ValueError(f"a link step knows no {', '.join(sorted(unknown))}")
        rate = known.pop("rate_kbps", None)
        numbers = {name: float(value) for name, value in known.items()}
        return LinkStep(rate_kbps=math.inf if rate is None else float(rate), **numbers)

    def to_json(self) -> str:
        """Return the document that `from_json` reads."""
        names = tuple(LinkStep.__dataclass_fields__)
        items = [{name: getattr(step, name) for name in names} for step in self.steps]
        for item in items:
            item["rate_kbps"] = item["rate_kbps"] if math.isfinite(item["rate_kbps"]) else None
        return json.dumps({"steps": items})

    def at(self, t_ms: float) -> LinkStep:
        """Return the step that holds at `t_ms` (before 0: the first)."""
        return self.steps[max(0, bisect_right(self.steps, t_ms, key=lambda step: step.t_ms) - 1)]

    def index(self, t_ms: float) -> int:
        """Return the position of the step that holds at `t_ms`."""
        return max(0, bisect_right(self.steps, t_ms, key=lambda step: step.t_ms) - 1)


class ImpairedLink:
    """Carry datagrams over a scripted link, one direction.

    The queue holds at most `queue_ms` at the rate of the moment: a datagram that does not fit is dropped, so small ones
    still find room when large ones do not; when the rate falls, what then lies beyond the bound is dropped as well (a
    shaper that bounds time, not bytes).
    Same seed, trace and calls: same result. Times are in ms from the trace's zero.
    """

    def __init__(self, trace: LinkTrace, *, seed: int = 0, queue_ms: float = 300.0, reorder: bool = False) -> None:
        if queue_ms <= 0:
            raise ValueError("queue_ms must be above 0")
        self._trace = trace
        self._queue_ms = queue_ms
        self._reorder = reorder
        self._random = random.Random(seed)
        self._free_ms = 0.0  # when the last admitted datagram has left the queue
        self._last_delivery_ms = -math.inf
        self._last_send_ms = -math.inf

    @property
    def trace(self) -> LinkTrace:
        """The script."""
        return self._trace

    def send(self, now_ms: float, size_bytes: int) -> float | None:
        """Put a datagram of `size_bytes` (UDP payload) on the link; return when it arrives, or None if it never does.

        Raises:
            ValueError: time went back, or the size is negative.
        """
        if now_ms < self._last_send_ms or size_bytes < 0:
            raise ValueError("datagrams must be sent in order of time and have a size >= 0")
        self._last_send_ms = now_ms
        step = self._trace.at(now_ms)
        # Both draws are made for every datagram, so that a drop does not shift the fate of those after it.
        lost = self._random.random() < step.loss
        jitter_ms = self._random.random() * step.jitter_ms
        served_ms = self._serve(now_ms, (size_bytes + IP_UDP_BYTES) * 8.0)
        if served_ms is None:
            return None
        self._free_ms = served_ms
        if lost:
            return None
        delivery_ms = served_ms + step.delay_ms + jitter_ms
        if not self._reorder:
            delivery_ms = max(delivery_ms, self._last_delivery_ms)
        self._last_delivery_ms = max(delivery_ms, self._last_delivery_ms)
        return delivery_ms

    def queue_bits(self, now_ms: float) -> float:
        """Return how many bits wait or are being served at `now_ms`."""
        return self._bits_between(now_ms, self._free_ms)

    def _serve(self, now_ms: float, own_bits: float) -> float | None:
        ahead = self.queue_bits(now_ms)
        t = now_ms
        left = ahead + own_bits
        for i in range(self._trace.index(now_ms), len(self._trace.steps)):
            rate = self._trace.steps[i].rate_kbps  # kbit/s equals bit/ms
            # What is on the wire already, or finds nothing ahead of it, is served whatever its size.
            waits = left > own_bits
            if rate == 0.0 or (waits and left > rate * self._queue_ms):
                return None
            end = self._trace.steps[i + 1].t_ms if i + 1 < len(self._trace.steps) else math.inf
            if rate == math.inf:
                return t
            if left <= rate * (end - t):
                return t + left / rate
            left -= rate * (end - t)
            t = end
        return None

    def _bits_between(self, start_ms: float, end_ms: float) -> float:
        bits = 0.0
        t = start_ms
        for i in range(self._trace.index(start_ms), len(self._trace.steps)):
            if t >= end_ms:
                break
            stop = self._trace.steps[i + 1].t_ms if i + 1 < len(self._trace.steps) else math.inf
            until = min(end_ms, stop)
            rate = self._trace.steps[i].rate_kbps
            bits += rate * (until - t) if math.isfinite(rate) else 0.0
            t = until
        return bits
