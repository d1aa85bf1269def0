"""What is seen of a long call, simulated or real."""

from array import array
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.soak.gauges import MemoryReading


@dataclass
class SoakRecord:
    """A record of a call; times in ms. Series have a value for each look: every 1 s, in a real call every 2 s.

    Attributes:
        readings: gauges of the process at each look.
        skew_ms: simulated, of each real frame, by its number and the caller's time of the sound beside it; real, at
            each look, the 95th percentile of the node's last 80 s.
        delay_ms: delay of the sound at each look.
        target_ms: delay that the node aims at, at each look.
        line_ms: sound that waits at the node, at each look; simulated calls only.
        tasks: asyncio tasks at each look; real calls only.
        counts: pictures by kind and what happened, by name.
        counters: the node's last counters.
        wall_s: time that the call took, in s.
        tasks_left: names of the tasks that did not end with the call.
    """

    readings: list[MemoryReading] = field(default_factory=list)
    skew_ms: "array[float]" = field(default_factory=lambda: array("d"))  # a list would grow like a leak of its own
    delay_ms: list[float] = field(default_factory=list)
    target_ms: list[float] = field(default_factory=list)
    line_ms: list[float] = field(default_factory=list)
    tasks: list[int] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    counters: dict[str, object] = field(default_factory=dict)
    wall_s: float = 0.0
    tasks_left: list[str] = field(default_factory=list)

    @property
    def off_ms(self) -> list[float]:
        """Distance of the delay from its target, at each look."""
        return [abs(delay - target) for delay, target in zip(self.delay_ms, self.target_ms, strict=True)]
