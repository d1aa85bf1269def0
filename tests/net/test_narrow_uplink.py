"""A call through the host kernel's own network: the caller's uplink is narrowed and cut with tc and ip.

    .venv/bin/python -m pytest -q -s -m net tests/net

Real processes, real sockets, a real queue that fills and drops. Figures are printed. Limits of time are asserted only
where the machine itself kept time (tests/net/load.py): on busy cores they would judge the neighbours.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.net.calling import GOOD_KBPS, RETURN_S, Call, begin
from tests.net.load import Load
from tests.net.namespaces import Namespaces, why_not
from tests.net.processes import Processes, now_ms, wait_for
from tests.net.seen import Recorded, Tick, read_recording

pytestmark = pytest.mark.net

SETTLE_S = 3.0
"""The queue of the uplink still holds video when video stops."""
NARROW_S = 9.0
CUT_S = 6.0
SPEECH_KBPS = 50.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Hold what an uplink of `kbps` let through: the rate behind its queue in kbit/s, the share of sound made up."""

    kbps: float
    sent_kbps: float
    made_up: float


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Hold a call whose uplink had 60, 40 and again 2000 kbit/s.

    Attributes:
        stretches: at 60 and at 40 kbit/s.
        ticks: the node's pictures on the narrow link, but for its first 3 s.
        stats: the node's counters at the end.
        busy: why figures of time are not judged; None when they are.
    """

    stretches: tuple[Stretch, Stretch]
    ticks: list[Tick]
    seen: Recorded
    stats: dict[str, Any]
    busy: str | None


@contextmanager
def _calling(clip: Path, folder: Path) -> Iterator[Call]:
    reason, load = why_not(), Load()
    if reason is not None:
        pytest.skip(reason)
    with Namespaces() as net, Processes(net) as processes:
        with load.excuses():
            call = begin(net, processes, clip, folder)
        yield call


@pytest.fixture(scope="module")
def narrowed(long_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Narrowed:
    with _calling(long_clip, tmp_path_factory.mktemp("narrow")) as call:
        load, began_ms = Load(), now_ms()
        call.net.uplink(60.0)
        call.caller.until_said("video paused", 10.0, began_ms)
        call.until_output("synth", 10.0)
        stretches = _narrow(call, 60.0), _narrow(call, 40.0)
        wide_ms = now_ms()
        call.net.uplink(GOOD_KBPS)
        with load.excuses():
            call.caller.until_said("video resumed", RETURN_S, wide_ms)
            call.until_real(wide_ms)
        call.end()
        ticks = call.diary.ticks(began_ms + 3000.0, wide_ms)
        found = Narrowed(
            stretches, ticks, read_recording(call.recording), call.diary.stats(), str(load) if load.too_high else None
        )
    _print(found)
    return found


def _narrow(call: Call, kbps: float) -> Stretch:
    call.net.uplink(kbps)
    time.sleep(SETTLE_S)
    began_ms, before = now_ms(), call.net.sent()
    time.sleep(NARROW_S - SETTLE_S)
    after, ended_ms = call.net.sent(), now_ms()
    rate = after.kbps_since(before, (ended_ms - began_ms) / 1000.0)
    return Stretch(kbps, rate, call.diary.concealed(began_ms, ended_ms))


def _print(found: Narrowed) -> None:
    print()
    for part in found.stretches:
        print(f"  {part.kbps:.0f} kbit/s: {part.sent_kbps:.1f} on the wire, {part.made_up:.1%} of the sound made up")
    made = sum(tick.kind == "synth" for tick in found.ticks) / max(1, len(found.ticks))
    print(
        f"  on the narrow link {made:.0%} of {len(found.ticks)} pictures new and synthetic; at the viewer still for at "
        f"most {found.seen.longest_still_ms():.0f} ms, silent for at most {found.seen.longest_silence_ms():.0f} ms"
    )
    names = "freezeCount", "timeToSynthMs", "timeToReturnMs", "ticksSkipped", "fecSamples", "concealedSamples"
    print("  " + ", ".join(f"{name} {found.stats[name]}" for name in names))
    print(f"  {found.busy or 'the machine had time'}")


def test_synthesis_bridges_what_the_link_cannot_carry(narrowed: Narrowed) -> None:
    """Sure on a busy machine, too: the link was narrow for 18 s, for which a plain call would stand still."""
    assert {tick.output for tick in narrowed.ticks} == {"synth"}, "video was tried on a link that cannot carry it"
    made = sum(tick.kind == "synth" for tick in narrowed.ticks)
    assert made > len(narrowed.ticks) / 4, "the picture stood still instead of being made"
    assert narrowed.seen.longest_still_ms() < 5000.0
    assert narrowed.stats["timeToReturnMs"], "real video did not return"


def test_speech_gets_through(narrowed: Narrowed) -> None:
    at_60, at_40 = narrowed.stretches
    assert 15.0 < at_60.sent_kbps <= 60.0 and 15.0 < at_40.sent_kbps <= 40.0
    assert at_60.made_up < 0.25 and at_40.made_up < 0.5, "speech was given up"


@pytest.mark.xfail(strict=False, reason="seen 48 to 53: speech 42 to 44, pings and acks 6, RTCP 2, STUN and TCP 1")
def test_speech_alone_costs_at_most_50_kbits_a_second(narrowed: Narrowed) -> None:
    at_60, _ = narrowed.stretches
    assert at_60.sent_kbps <= SPEECH_KBPS


def test_figures_of_the_narrow_link(narrowed: Narrowed) -> None:
    if narrowed.busy:
        pytest.skip(f"{narrowed.busy}: figures of time would judge the neighbours")
    at_60, _ = narrowed.stretches
    assert at_60.made_up <= 0.03
    assert narrowed.seen.longest_still_ms() <= 600.0
    assert narrowed.seen.longest_silence_ms() < 2000.0


def test_a_cut_link_is_bridged_and_heals(long_clip: Path, tmp_path: Path) -> None:
    with _calling(long_clip, tmp_path) as call:
        load, cut_ms = Load(), now_ms()
        call.net.link(up=False)
        call.until_output("synth", 10.0)
        time.sleep(CUT_S)
        ticks = call.diary.ticks(cut_ms + 2000.0, now_ms())
        healed_ms = now_ms()
        call.net.link(up=True)
        wait_for(lambda: call.diary.concealed(now_ms() - 1000.0, now_ms()) < 0.5, 20.0, "speech is back")
        print(f"\n  speech back {now_ms() - healed_ms:.0f} ms after the link; {load}")
        with load.excuses():
            call.until_real(healed_ms)
        call.end()
        seen = read_recording(call.recording)
    assert ticks and {tick.output for tick in ticks} == {"synth"}
    assert seen.longest_still_ms() < CUT_S * 1000.0 - 1000.0
