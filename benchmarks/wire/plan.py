"""Which links are tried, and what each does when: cells, their scripts, the default choice and the whole product.

Pure. A cell is a good lead, a bad middle and a good tail, so that what was before, during and after can be told apart.
"""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from realtime.rtc.badlink.link import LinkStep, LinkTrace

LOSSES = (0, 1, 5, 10, 20)
JITTERS = (0, 30, 80)
RATES = (2000, 300, 100, 40, 0)
OUTAGES = (0.2, 1.0, 3.0, 10.0, 30.0)

GOOD_KBPS = 2000
DELAY_MS = 20.0
LEAD_MS = 3000.0
TAIL_MS = 5000.0
BACK_MS = 2000.0
"""The tail is longer by this where the picture must come back before the delay of the sound can be judged."""
LEAST_SECONDS = 10.0

_LONG_OUTAGE_S = 3.0
"""An outage longer than this happens once in a cell; others are repeated."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of link.

    Attributes:
        loss: share of datagrams that are lost, in percent.
        jitter: largest jitter in ms, uniform, added to 20 ms of delay; order is kept.
        rate: capacity in kbit/s with IP and UDP headers; 0 when nothing passes.
        outage: length of the outages, in s; 0 when there are none.
    """

    loss: int = 0
    jitter: int = 0
    rate: int = GOOD_KBPS
    outage: float = 0.0

    @property
    def name(self) -> str:
        """Name, which is also the key in cells.json."""
        outage = f"-outage{self.outage:g}" if self.outage else ""
        return f"loss{self.loss}-jitter{self.jitter}-rate{self.rate}{outage}"

    @property
    def speech(self) -> str:
        """When speech arrives in the middle of the cell: "yes", "between" outages, or "no"."""
        return "no" if self.rate == 0 else "between" if self.outage else "yes"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The script of a cell's link and its key times, in ms of the call.

    Attributes:
        trace: script of the uplink.
        bad_ms: time at which the middle begins.
        restored_ms: time at which the tail begins.
        back_ms: times at which the link can carry again what it could not: ends of outages, of low or no rate.
        shut: spans in which nothing passes.
        seconds: length of the call, in s.
    """

    trace: LinkTrace
    bad_ms: float
    restored_ms: float
    back_ms: tuple[float, ...]
    shut: tuple[tuple[float, float], ...]
    seconds: float


def schedule(cell: Cell, seconds: float) -> Schedule:
    """Lay out `cell` in about `seconds`; more where its outages, or the way back from them, need it.

    Raises:
        ValueError: `seconds` leaves no middle.
    """
    if seconds < LEAST_SECONDS:
        raise ValueError(f"a cell needs at least {LEAST_SECONDS:g} s")
    middle_ms = seconds * 1000.0 - LEAD_MS - TAIL_MS
    good = LinkStep(0.0, GOOD_KBPS, DELAY_MS)

    def bad(at_ms: float, rate: float) -> LinkStep:
        return LinkStep(at_ms, rate, DELAY_MS, float(cell.jitter), cell.loss / 100.0)

    holes = _holes(cell.outage, middle_ms) if cell.rate else ()
    if holes:
        middle_ms = holes[-1][1] - LEAD_MS
    restored_ms = LEAD_MS + middle_ms
    steps = [good]
    if not holes:
        steps.append(bad(LEAD_MS, float(cell.rate)))
    for start, end in holes:
        steps.append(bad(start, 0.0))
        if end < restored_ms:
            steps.append(bad(end, float(cell.rate)))
    steps.append(LinkStep(restored_ms, GOOD_KBPS, DELAY_MS))
    shut = holes if cell.rate else ((LEAD_MS, restored_ms),)
    low = (restored_ms,) if cell.rate < GOOD_KBPS and not holes else ()
    back = tuple(end for _, end in holes) or low
    end_ms = restored_ms + TAIL_MS + (BACK_MS if back else 0.0)
    return Schedule(LinkTrace(tuple(steps)), LEAD_MS, restored_ms, back, shut, end_ms / 1000.0)


def _holes(outage_s: float, middle_ms: float) -> tuple[tuple[float, float], ...]:
    if not outage_s:
        return ()
    length = outage_s * 1000.0
    # Time enough between them for the picture to come back, and for the next outage to find it back.
    gap = 2000.0 if outage_s <= 1.0 else 3000.0
    least = 2 if outage_s <= _LONG_OUTAGE_S else 1
    count = max(least, int((middle_ms + gap) // (length + gap)))
    return tuple((LEAD_MS + n * (length + gap), LEAD_MS + n * (length + gap) + length) for n in range(count))


def default_plan() -> list[Cell]:
    """Return every level of each factor and the pairs that matter: 33 cells."""
    cells = [Cell(loss, jitter) for loss, jitter in product(LOSSES, JITTERS)]
    cells += [Cell(loss, rate=rate) for loss, rate in product((0, 5), RATES[1:])]
    cells += [Cell(loss, outage=outage) for loss, outage in product((0, 5), OUTAGES)]
    return cells


def full_plan() -> list[Cell]:
    """Return the whole product, but for outages of a link that carries nothing anyway: 375 cells."""
    found = [Cell(*levels) for levels in product(LOSSES, JITTERS, RATES, (0.0, *OUTAGES))]
    return [cell for cell in found if cell.rate or not cell.outage]


def chosen(cells: Sequence[Cell], pattern: str) -> list[Cell]:
    """Return those whose name fits one of the comma-separated shell patterns in `pattern` (whole name; * and ?)."""
    patterns = [part.strip() for part in pattern.split(",") if part.strip()]
    return [cell for cell in cells if any(fnmatch.fnmatchcase(cell.name, part) for part in patterns)]
