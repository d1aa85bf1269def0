"""The figures of one call, from what the viewer received and, where they say so, from the node's own counters. Pure.

Names are those of webrtc-stats where it has one. None stands for what could not be measured.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.wire.call import CellCall
from benchmarks.wire.heard import MAX_DELAY_MS, Heard, heard, missing
from benchmarks.wire.plan import Schedule
from benchmarks.wire.source import Source
from client.rig.call import CallResult
from client.rig.node import Tick
from client.rig.picture import picture_delay
from client.rig.sound import NEAR_MS, speaking
from client.rig.timeline import Floats, Span, match_kinds
from realtime.picture.stats import FreezeCounter

Figures = dict[str, Any]

BIN_MS = 100.0
DRAIN_MS = 400.0
"""Longer than the link holds a packet: what left before a pause has left the queue by then."""

SETTLED_MS = 2000.0
"""Time after which the delay must be back."""

TO_NODE_MS = 400.0
"""By then what was lost in the middle shows in the node's counters."""

LEAST_SYNTH_MS = 500.0
"""Shortest time over which a rate is given."""

_START_MS = 500.0
_END_MS = 500.0


def figures(found: CellCall, plan: Schedule, source: Source) -> Figures:
    """Return the figures of a call; those of the node are absent without one."""
    call, seen = found.result, found.result.seen
    sound = heard(seen.samples, source.samples, seen.sound_ms, seen.late_ms)
    kinds = match_kinds(seen.frame_ms, seen.media_ms, call.node.sent)
    result: Figures = {
        **_continuity(call, plan),
        **_sound(call, plan, source, sound),
        **_pictures(call, plan, source, sound, kinds),
        **_uplink(call, plan),
        "busyCores": found.busy,
        "ownCores": found.own,
    }
    if call.node.ticks:
        result |= _node(call, plan)
    return {name: _plain(value) for name, value in result.items()}


def _plain(value: object) -> object:
    """Return `value` ready for JSON: three decimals, None for what is no number."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return round(float(value), 3) if math.isfinite(value) else None
    return value


# --- pictures --------------------------------------------------------------------------------------------------------


def _continuity(call: CallResult, plan: Schedule) -> Figures:
    """Count freezes over pictures that differ from the one before, and which of them happened while speech arrived."""
    end_ms = plan.seconds * 1000.0
    seen = call.seen
    gaps = frozen(seen.frame_ms[seen.differs], end_ms)
    bins = {int(number) for number, size in call.uplink["delivered"]["audio"] if size > 0}
    within = [gap for gap in gaps if speech_share(bins, *gap) >= 0.5]
    return {
        "pictures": int((seen.frame_ms < end_ms).sum()),
        "freezeCount": len(gaps),
        "totalFreezesDuration": sum(end - start for start, end in gaps) / 1000.0,
        "freezeCountInSpeech": len(within),
    }


def frozen(shown_ms: Iterable[float], end_ms: float) -> list[tuple[float, float]]:
    """Return each freeze as (start, end), as `FreezeCounter` counts them; the last may last until `end_ms`."""
    counter, last, gaps = FreezeCounter(), 0.0, []
    for shown in shown_ms:
        if shown > end_ms:
            break
        if counter.add(float(shown)):
            gaps.append((last, float(shown)))
        last = float(shown)
    if counter.result(end_ms).freezeCount > counter.count:
        gaps.append((last, end_ms))
    return gaps


def speech_share(bins: set[int], start_ms: float, end_ms: float) -> float:
    """Return the share of the 100 ms bins from `start_ms` to `end_ms` in which audio was delivered to the node."""
    inside = range(int(start_ms // BIN_MS), max(int(start_ms // BIN_MS) + 1, int(end_ms // BIN_MS)))
    return sum(number in bins for number in inside) / len(inside)


def _pictures(call: CallResult, plan: Schedule, source: Source, sound: Heard, kinds: NDArray[np.str_]) -> Figures:
    """Measure skew and lag of recognised real pictures, and when new ones came after the link was restored."""
    seen = call.seen
    real = np.flatnonzero(kinds != "synth")
    late = np.full(len(seen.frame_ms), np.nan)
    late[real] = picture_delay(
        seen.frame_ms[real], seen.small[real], source.times_ms, source.small, max_delay_ms=MAX_DELAY_MS
    )
    ear = sound.at(seen.frame_ms, NEAR_MS)
    skew = np.where(speaking(source.samples, seen.frame_ms - ear), late - ear, np.nan)
    # Without a filter every picture is the caller's own; with one only those that the node called real.
    new = seen.differs & (kinds == "real") if call.node.ticks else seen.differs
    lead = Span("lead", 0.0, plan.bad_ms).holds(seen.frame_ms)
    lag_ms = float(np.nan_to_num(quantile(late[lead], 0.5)))
    return {
        "skewP95Ms": quantile(np.abs(skew), 0.95),
        "skewMedianMs": quantile(skew, 0.5),
        "skewPictures": int(np.isfinite(skew).sum()),
        "pictureDelayMs": quantile(late, 0.5),
        "pictureBackMs": [back(seen.frame_ms[new], at_ms, lag_ms) for at_ms in plan.back_ms],
    }


def back(new_ms: Floats, restored_ms: float, lag_ms: float) -> float:
    """Return how long after `restored_ms` the first new picture came; NaN when none did.

    What comes within `lag_ms`, the way of a picture on the good link, was taken before.
    """
    after = new_ms[new_ms >= restored_ms + lag_ms]
    return float(after[0] - restored_ms) if len(after) else math.nan


# --- sound -----------------------------------------------------------------------------------------------------------


def _sound(call: CallResult, plan: Schedule, source: Source, sound: Heard) -> Figures:
    """Measure what speech is missing and how late the rest comes, before, during and after the bad middle."""
    samples = call.seen.samples
    spans = open_spans(plan.bad_ms, plan.restored_ms + SETTLED_MS, plan.shut)
    lost, spoken = (
        sum(pair) for pair in zip(*(missing(samples, source.samples, sound, s) for s in spans), strict=True)
    )
    lead_lost, lead_spoken = missing(samples, source.samples, sound, Span("lead", _START_MS, plan.bad_ms - 100.0))
    settled_ms = max(plan.restored_ms, last_unreal(call.node.ticks, plan.seconds * 1000.0)) + SETTLED_MS

    def delay(start_ms: float, end_ms: float) -> float:
        return quantile(sound.delay_ms[Span("", start_ms, end_ms).holds(sound.heard_ms)], 0.5)

    before = delay(_START_MS, plan.bad_ms)
    after = delay(settled_ms, plan.seconds * 1000.0 - _END_MS)
    return {
        "missingShare": lost / spoken if spoken else math.nan,
        "missingSpokenS": spoken / 1000.0,
        "missingShareLead": lead_lost / lead_spoken if lead_spoken else math.nan,
        "soundDelayLeadMs": before,
        "soundDelayMs": delay(plan.bad_ms, plan.restored_ms),
        "soundDelayP95Ms": quantile(
            sound.delay_ms[Span("", plan.bad_ms, plan.restored_ms).holds(sound.heard_ms)], 0.95
        ),
        "soundDelayTailMs": after,
        "soundDelayExtraMs": after - before,
    }


def open_spans(start_ms: float, end_ms: float, shut: Sequence[tuple[float, float]]) -> list[Span]:
    """Return what is left of `start_ms` to `end_ms` without the spans `shut`, which are in order."""
    spans, at_ms = [], start_ms
    for closed, opened in shut:
        if closed > at_ms:
            spans.append(Span("open", at_ms, min(closed, end_ms)))
        at_ms = max(at_ms, opened)
    if at_ms < end_ms:
        spans.append(Span("open", at_ms, end_ms))
    return spans


def last_unreal(ticks: Sequence[Tick], end_ms: float) -> float:
    """Return when the node last showed anything but real pictures before `end_ms`; 0 when it never did."""
    times = [tick.at_ms for tick in ticks if tick.output != "real" and 0.0 <= tick.at_ms < end_ms]
    return times[-1] if times else 0.0


# --- wire ------------------------------------------------------------------------------------------------------------


def _uplink(call: CallResult, plan: Schedule) -> Figures:
    lost = {}
    for kind in ("audio", "video"):
        dropped, offered = (
            _bytes(call.uplink[name][kind], plan.bad_ms, plan.restored_ms) for name in ("dropped", "offered")
        )
        lost[kind] = dropped / offered if offered else math.nan
    total = sum(_bytes(rows, plan.bad_ms, plan.restored_ms) for rows in call.uplink["offered"].values())
    return {
        "linkLostAudio": lost["audio"],
        "linkLostVideo": lost["video"],
        "offeredKbps": total * 8.0 / (plan.restored_ms - plan.bad_ms),
    }


def _bytes(rows: Sequence[Sequence[float]], start_ms: float, end_ms: float) -> float:
    """Sum the bytes of (bin, bytes) rows whose 100 ms lie within `start_ms` to `end_ms`."""
    return sum(size for number, size in rows if start_ms <= number * BIN_MS and (number + 1) * BIN_MS <= end_ms)


def synth_rates(call: CallResult, end_ms: float) -> tuple[dict[str, float], float]:
    """Return what the caller sends while the node is in SYNTH: kbit/s by kind of packet, and over how many s.

    IP and UDP headers count. Left out is what was in the queue when SYNTH began, and all from when the caller tries
    video again. No rates are given over less than half a second.
    """
    resumes = [time for time, flows, _ in call.uplink["video_changes"] if flows]
    offered = call.uplink["offered"]
    sent, lasted = dict.fromkeys(offered, 0.0), 0.0
    for span in link_spans(call.node.ticks, end_ms):
        if span.name != "synth":
            continue
        first = math.ceil((max(0.0, span.start_ms) + DRAIN_MS) / BIN_MS) * BIN_MS
        last = math.floor(min([span.end_ms, *(t for t in resumes if t > span.start_ms)]) / BIN_MS) * BIN_MS
        if last > first:
            sent = {kind: sent[kind] + _bytes(rows, first, last) for kind, rows in offered.items()}
            lasted += last - first
    rates = {} if lasted < LEAST_SYNTH_MS else {kind: size * 8.0 / lasted for kind, size in sent.items()}
    return rates, lasted / 1000.0


def link_spans(ticks: Sequence[Tick], end_ms: float) -> list[Span]:
    """Return the states of the caller's video at the node as spans up to `end_ms`."""
    spans: list[Span] = []
    for tick in ticks:
        if not spans or spans[-1].name != tick.video:
            if spans:
                spans[-1] = Span(spans[-1].name, spans[-1].start_ms, tick.at_ms)
            spans.append(Span(tick.video, tick.at_ms, end_ms))
    return [span for span in spans if span.start_ms < end_ms]


# --- the node --------------------------------------------------------------------------------------------------------


def _node(call: CallResult, plan: Schedule) -> Figures:
    """Return what the node counted."""
    stats, ticks = call.node.stats, call.node.ticks
    end_ms = plan.seconds * 1000.0
    synthetic = np.array([abs(tick.skew_ms) for tick in ticks if tick.kind == "synth" and 0.0 <= tick.at_ms < end_ms])
    rates, lasted = synth_rates(call, end_ms)
    return {
        "skewSynthP95Ms": quantile(synthetic, 0.95),
        "framesSynth": len(synthetic),
        "concealedShare": concealed(call.node.series, plan.bad_ms, plan.restored_ms + TO_NODE_MS),
        "timeToSynthMs": list(stats["timeToSynthMs"]),
        "timeToReturnMs": list(stats["timeToReturnMs"]),
        "synthKbps": sum(rates.values()) if rates else math.nan,
        "synthSpeechKbps": rates.get("audio"),
        "synthRtcpKbps": rates.get("rtcp"),
        "synthDataKbps": rates.get("data"),
        "synthS": lasted,
        "ticksSkipped": stats.get("ticksSkipped"),
        "tickP99Ms": stats["tickMs"]["p99"],
        "nodeFreezeCount": stats["freezeCount"],
        "playoutDelayMs": call.node.series[-1].get("playoutDelayMs") if call.node.series else None,
        "playoutTargetMs": call.node.series[-1].get("playoutTargetMs") if call.node.series else None,
    }


def concealed(series: Sequence[dict[str, float]], start_ms: float, end_ms: float) -> float:
    """Return concealedSamples over the samples of the time between two counts, the outermost within the span."""
    rows = [row for row in series if start_ms <= row["atMs"] <= end_ms and "concealedSamples" in row]
    if len(rows) < 2:
        return math.nan
    counted = rows[-1]["concealedSamples"] - rows[0]["concealedSamples"]
    return counted / ((rows[-1]["atMs"] - rows[0]["atMs"]) * 48.0)


def quantile(values: Floats, share: float) -> float:
    """Return the quantile `share` (0..1) of the finite `values`; NaN without any."""
    finite = values[np.isfinite(values)]
    return float(np.quantile(finite, share)) if len(finite) else math.nan
