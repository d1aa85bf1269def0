"""The figures of the report: each with unit, target, and whether it was met."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from client.demo.evidence import Evidence, Truth
from client.demo.measure import Jump, frame_rate, jump, mouth_correlation, percentile, seen_freezes
from client.rig.clip import PlayedClip
from client.rig.sound import speech_lost
from client.rig.timeline import Span

NAN = float("nan")
QUEUE_DRAIN_MS = 400.0
"""Longer than the demo's link holds a packet: what left before a pause has arrived by then."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        name: name as in webrtc-stats, where it has one there.
        value: what was measured; NaN when that was not possible.
        unit: unit of the value; "" for counts and ratios.
        target: target in words; "" when there is none.
        passed: whether the target was met; None without one. What could not be measured is missed.
        note: what exactly was measured.
        plain: value of the plain call, NaN where it makes no sense.
    """

    name: str
    value: float
    unit: str = ""
    target: str = ""
    passed: bool | None = None
    note: str = ""
    plain: float = NAN

    def as_json(self) -> dict[str, Any]:
        """Return a dictionary for JSON; what could not be measured is null."""
        row = asdict(self)
        return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be.

    Attributes:
        words: the target for people.
        low: least value that meets it.
        high: largest value that meets it.
    """

    words: str
    low: float
    high: float


NONE = Target("0", 0.0, 0.0)
RATE = Target("24.5 to 25.5", 24.5, 25.5)
TICK = Target("under 33", 0.0, math.nextafter(33.0, 0.0))


def at_most(high: float, digits: int = 0) -> Target:
    """Return the target of at least 0 and at most `high`."""
    return Target(f"at most {high:.{digits}f}", 0.0, high)


def aim(target: Target, name: str, value: float, unit: str, note: str, plain: float = NAN) -> Figure:
    """Judge `value` by `target`; what could not be measured (NaN) is missed."""
    return Figure(name, float(value), unit, target.words, bool(target.low <= value <= target.high), note, float(plain))


def figures(filtered: Evidence, plain: Evidence, clip: PlayedClip, known: Truth) -> list[Figure]:
    """Return all figures, those with a target first."""
    stretches = filtered.synthetic()
    return [
        *_continuity(filtered, plain),
        *_switches(filtered, clip, known, stretches),
        *_sync(filtered, plain),
        *_load(filtered),
        *_mouth(filtered, known, stretches),
        *_speech(filtered, plain, clip),
    ]


def _continuity(filtered: Evidence, plain: Evidence) -> list[Figure]:
    end = filtered.seconds * 1000.0
    arrived, moved = seen_freezes(filtered.frame_ms, filtered.differs, end)
    plain_arrived, plain_moved = seen_freezes(plain.frame_ms, plain.differs, end)

    rate, plain_rate = frame_rate(filtered.frame_ms, end), frame_rate(plain.frame_ms, end)
    count, total = "freezeCount", "totalFreezesDuration"
    still = "a picture that shows no change counts as not arrived"
    w3c = "gaps between pictures at the viewer, W3C webrtc-stats"
    return [
        aim(NONE, count, arrived.freezeCount, "", w3c, plain_arrived.freezeCount),
        aim(NONE, total, arrived.totalFreezesDuration, "s", w3c, plain_arrived.totalFreezesDuration),
        aim(NONE, f"{count}, still", moved.freezeCount, "", still, plain_moved.freezeCount),
        aim(NONE, f"{total}, still", moved.totalFreezesDuration, "s", still, plain_moved.totalFreezesDuration),
        aim(
            RATE,
            "framesPerSecond",
            rate,
            "1/s",
            "pictures at the viewer, from the first to the end of the call",
            plain_rate,
        ),
    ]


def _switches(filtered: Evidence, clip: PlayedClip, known: Truth, stretches: list[Span]) -> list[Figure]:
    stats = filtered.result.node.stats
    to_synth = max(stats["timeToSynthMs"], default=NAN)
    to_return = max(stats["timeToReturnMs"], default=NAN)
    entry = _worst([jump(filtered.points, filtered.entry(s), known.points, clip.cuts) for s in stretches])
    back = _worst([jump(filtered.points, filtered.hand_back(s), known.points, clip.cuts) for s in stretches])
    switch = "largest step of the head around the switch, in eye distances, against the 99th percentile in the clip"
    lips = "largest step of the lips around the switch; no target, lips move by themselves"
    rows = [
        aim(at_most(120), "timeToSynthMs", to_synth, "ms", "from when a frame was due; worst switch"),
        aim(at_most(1000), "timeToReturnMs", to_return, "ms", "after real frames flow; worst switch"),
    ]
    for name, found in (("into SYNTH", entry), ("back to REAL", back)):
        beside = f"{lips} (99th percentile in the clip: {found.lips_limit:.4f})"
        rows += [
            aim(at_most(found.head_limit, 4), f"jump {name}", found.head, "eyes", switch),
            Figure(f"lip step {name}", found.lips, "eyes", note=beside),
        ]
    return rows


def _worst(jumps: list[Jump]) -> Jump:
    known = [found for found in jumps if math.isfinite(found.ratio)]
    return max(known, key=lambda found: found.ratio) if known else Jump(NAN, NAN, NAN, NAN)


def _sync(filtered: Evidence, plain: Evidence) -> list[Figure]:
    stats = filtered.result.node.stats
    skew = stats["avSkewAbsMs"]["p95"] if stats["avSkewAbsMs"]["count"] else NAN
    seen, plain_seen = (percentile(np.abs(call.skew_ms), 95.0) for call in (filtered, plain))
    return [
        aim(at_most(40), "|avSkewMs| p95", skew, "ms", "picture against sound as the node sent them"),
        aim(
            at_most(40),
            "|avSkewMs| p95, seen",
            seen,
            "ms",
            "real pictures against the speech heard with them, both recognised by content at the viewer",
            plain_seen,
        ),
    ]


def _load(filtered: Evidence) -> list[Figure]:
    stats = filtered.result.node.stats
    tick = stats["tickMs"]["p99"] if stats["tickMs"]["count"] else NAN
    video = video_bytes_in_synth(filtered)
    names = ("framesReal", "framesSynth", "framesRepeated")
    note = "delivered by the link while the node is in SYNTH and before the caller tries video again"
    return [
        aim(TICK, "tickMs p99", tick, "ms", "time of one engine tick"),
        aim(NONE, "video bytes in SYNTH", video, "B", note),
        Figure("modelMs p95", stats["modelMs"]["p95"], "ms", note="time to render one synthetic frame"),
        *(Figure(name, stats[name], note="frames that the node sent") for name in names),
    ]


def video_bytes_in_synth(call: Evidence) -> float:
    """Return the video bytes delivered to the node in SYNTH, from when the link's queue has drained to the resume."""
    resumes = [time for time, flows, _ in call.result.uplink["video_changes"] if flows]
    total, found = 0.0, False
    for span in call.states:
        if span.name != "synth":
            continue
        found = True
        end = min([span.end_ms, *(time for time in resumes if time > span.start_ms)])
        for number, size in call.result.uplink["delivered"]["video"]:
            if span.start_ms + QUEUE_DRAIN_MS <= number * 100.0 and (number + 1) * 100.0 <= end:
                total += size
    return total if found else NAN


def _mouth(filtered: Evidence, known: Truth, stretches: list[Span]) -> list[Figure]:
    rows = np.zeros(len(filtered.frame_ms), np.bool_)
    for span in stretches:
        rows |= span.holds(filtered.frame_ms) & (filtered.frame_ms < span.end_ms - 400.0)
    heard_ms = filtered.frame_ms - filtered.delay.at(filtered.frame_ms)
    found = mouth_correlation(heard_ms[rows], filtered.opening[rows], known.times_ms, known.opening)
    real = mouth_correlation(heard_ms[~rows], filtered.opening[~rows], known.times_ms, known.opening)
    what = "mouth opening seen against the clip's own at the sound heard with it"
    fit = f"shift of the best fit (r {found.best_r:.2f}); late is positive"
    return [
        Figure("mouth r in SYNTH", found.r, note=f"{what}; {found.pictures} pictures"),
        Figure("mouth lag in SYNTH", found.lag_ms, "ms", note=fit),
        Figure("mouth range in SYNTH", found.spread, note="standard deviation of the opening over the true one"),
        Figure("mouth r while REAL", real.r, note=f"{what}: the ceiling of this measurement"),
    ]


def _speech(filtered: Evidence, plain: Evidence, clip: PlayedClip) -> list[Figure]:
    whole = Span("call", 0.0, filtered.seconds * 1000.0)
    lost, spoken = speech_lost(filtered.result.seen.samples, clip.samples, filtered.delay, whole)
    plain_lost, _ = speech_lost(plain.result.seen.samples, clip.samples, plain.delay, whole)
    late, plain_late = (percentile(call.delay.delay_ms, 95.0) for call in (filtered, plain))
    return [
        Figure("speech lost", lost / 1000.0, "s", note=f"of {spoken / 1000.0:.1f} s spoken", plain=plain_lost / 1000.0),
        Figure("sound delay p95", late, "ms", note="from the caller's mouth to the viewer's ear", plain=plain_late),
    ]
