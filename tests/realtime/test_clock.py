"""Work that is due at a fixed rate."""

import asyncio

import pytest

from realtime.clock import FakeClock, beat


class Beaten:
    """Run a beat of 20 ms for ten calls; `slow[n]` ms go by within call n."""

    def __init__(self, slow: dict[int, float]) -> None:
        self.clock, self.slow = FakeClock(1_000.0), slow
        self.due: list[float] = []
        self.skipped: list[float] = []

    def work(self, due_ms: float) -> None:
        self.clock.advance(self.slow.get(len(self.due), 0.0))
        self.due.append(due_ms)
        if len(self.due) == 10:
            raise asyncio.CancelledError

    async def run(self) -> "Beaten":
        with pytest.raises(asyncio.CancelledError):
            await beat(self.clock, 20.0, self.work, self.skipped.append)
        return self


async def test_work_is_done_at_once_and_then_every_interval() -> None:
    beaten = await Beaten({}).run()
    assert beaten.due == [1_000.0 + 20.0 * i for i in range(10)] and not beaten.skipped


async def test_short_delays_are_made_up_for_without_a_gap() -> None:
    beaten = await Beaten({3: 90.0, 5: 400.0}).run()
    assert beaten.due == [1_000.0 + 20.0 * i for i in range(10)] and not beaten.skipped


async def test_what_a_sleeping_machine_missed_is_skipped_in_whole_intervals() -> None:
    beaten = await Beaten({3: 10_007.0}).run()
    # Call 3 was due at 1060 and ended at 11067; 1080 to 11060 were missed.
    assert beaten.skipped == [9_980.0]
    assert beaten.due[3:6] == [1_060.0, 11_060.0, 11_080.0]
