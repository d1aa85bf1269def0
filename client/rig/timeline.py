"""Stretches of a call, and which of the node's frames each received picture was. Pure; times in ms of the call."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the call.

    Attributes:
        name: state that the call was in.
        start_ms: first moment of the stretch.
        end_ms: first moment after it.
    """

    name: str
    start_ms: float
    end_ms: float

    def holds(self, times_ms: Floats) -> NDArray[np.bool_]:
        """Return which of `times_ms` lie in the span, its end left out."""
        return (times_ms >= self.start_ms) & (times_ms < self.end_ms)


def spans(changes: Sequence[tuple[float, str]], end_ms: float) -> list[Span]:
    """Turn `(time, new state)` changes in order of time into spans up to `end_ms`; empty ones are left out."""
    ends = [time for time, _ in changes[1:]] + [end_ms]
    found = [Span(name, start, min(end, end_ms)) for (start, name), end in zip(changes, ends, strict=True)]
    return [span for span in found if span.end_ms > span.start_ms]


def match_kinds(frame_ms: Floats, media_ms: Floats, sent: Sequence[tuple[float, str]]) -> NDArray[np.str_]:
    """Return the kind of each received picture, found by the times on the node's media clock; "" where it is unknown.

    Args:
        frame_ms: arrival of each picture.
        media_ms: its time on the sender's clock, from an unknown zero.
        sent: (time, kind) of each frame that the node sent, rising. Its media clock runs with its own clock, so that
            the time of sending also serves as media time.
    """
    kinds = np.full(len(frame_ms), "", dtype="<U8")
    if not sent or not len(frame_ms):
        return kinds
    sent_ms = np.array([time for time, _ in sent])
    newest = np.clip(np.searchsorted(sent_ms, frame_ms) - 1, 0, None)
    offset = float(np.median(media_ms - sent_ms[newest]))
    for row, time in enumerate(media_ms - offset):
        nearest = int(np.argmin(np.abs(sent_ms - time)))
        if abs(sent_ms[nearest] - time) < 20.0:
            kinds[row] = sent[nearest][1]
    return kinds
