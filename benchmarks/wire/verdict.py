"""What each cell must show, and whether it did. Pure; works on the records of cells.json."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]

LEAST_PICTURES = 20
"""Fewer recognised pictures say nothing about a 95th percentile."""

SPEECH_KBPS = 100
"""A link below this cannot carry speech whole (48 kbit/s on the wire) beside what tests it."""


@dataclass(frozen=True, slots=True)
class CellTarget:
    """Bound a figure.

    Attributes:
        key: short name.
        words: what is asked, for the table.
        most: the figure may be this much.
        applies: whether a cell is judged.
        value: the figure of a call in a cell; None when it was not measured, which is a miss where the target applies.
    """

    key: str
    words: str
    most: float
    applies: Callable[[Record], bool]
    value: Callable[[Record, dict[str, Any]], float | None]


def _whole_speech(record: Record) -> bool:
    cell = record["cell"]
    return bool(cell["loss"] <= 5 and cell["rate"] >= SPEECH_KBPS and not cell["outage"])


def _freezes(record: Record, call: dict[str, Any]) -> float | None:
    # Between outages only what froze while speech came through is held against the call.
    found: float | None = call["freezeCount" if record["speech"] == "yes" else "freezeCountInSpeech"]
    return found


def _figure(name: str) -> Callable[[Record, dict[str, Any]], float | None]:
    def value(_record: Record, call: dict[str, Any]) -> float | None:
        found: float | None = call.get(name)
        return found

    return value


TARGETS = (
    CellTarget("freezes", "freezeCount 0 while speech arrives", 0, lambda r: bool(r["speech"] != "no"), _freezes),
    CellTarget("concealed", "up to 5 % loss at most 6 % of audio concealed (node's counter)", 0.06, _whole_speech,
           _figure("concealedShare")),
    CellTarget("missing", "up to 5 % loss at most 6 % of speech missing (at the viewer)", 0.06, _whole_speech,
           _figure("missingShare")),
    CellTarget("delay", "sound delay within 40 ms of what it was, from 2 s after the link is good on", 40.0,
           lambda r: r["cell"]["jitter"] == 0, _figure("soundDelayExtraMs")),
    CellTarget("skew", "skew p95 at most 40 ms, real pictures, at the viewer", 40.0,
           lambda r: bool(r["lipline"]["skewPictures"] >= LEAST_PICTURES), _figure("skewP95Ms")),
    CellTarget("skew synth", "skew p95 at most 40 ms, synthetic pictures, by the node", 40.0,
           lambda r: bool(r["lipline"]["framesSynth"] >= LEAST_PICTURES), _figure("skewSynthP95Ms")),
    CellTarget("wire", "at most 50 kbit/s from caller to node in SYNTH", 50.0,
           lambda r: r["lipline"]["synthKbps"] is not None, _figure("synthKbps")),
)  # fmt: skip


def verdicts(record: Record, call: str = "lipline") -> dict[str, bool | None]:
    """Return for each target whether `call` ("lipline" or "plain") met it in this cell; None where it is not judged.

    A cell that broke misses nothing and meets nothing.
    """
    if "error" in record:
        return dict.fromkeys((target.key for target in TARGETS), None)
    found: dict[str, bool | None] = {}
    for target in TARGETS:
        value = target.value(record, record[call])
        if not target.applies(record) or (call == "plain" and target.key in NODE_ONLY):
            found[target.key] = None
        else:
            found[target.key] = value is not None and value <= target.most
    return found


NODE_ONLY = ("concealed", "skew synth", "wire")
"""Targets on figures that a call without the filter does not have."""


def missed(record: Record) -> list[str]:
    """Return the targets that lipline missed in this cell."""
    return [key for key, met in verdicts(record).items() if met is False]
