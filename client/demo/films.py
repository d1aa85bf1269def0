"""The films of a call: what the viewer saw at each moment, with what was heard."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from client.demo.evidence import Evidence
from client.rig.clip import FPS
from client.rig.timeline import Span
from models.generator import Image
from realtime.media_file import write_media
from realtime.rtc.badlink.link import LinkTrace

PANE = (480, 360)
BAR = 44
TIMELINE = 64
COLOURS = {
    "real": (98, 127, 42),
    "suspect": (150, 150, 150),
    "synth": (208, 79, 122),
    "returning": (20, 135, 205),
    "good": (98, 127, 42),
    "bad": (60, 60, 200),
}
"""BGR."""

_INK, _PAPER, _DIM = (245, 245, 245), (28, 24, 22), (160, 160, 160)


def write_seen(path: Path, call: Evidence, *, synthetic: bool) -> None:
    """Write what the viewer saw at wall time, 25 frames a second, with what it heard; in sync as it arrived."""
    samples = call.result.seen.samples.astype(np.float32) / 32768.0
    write_media(path, seen_at_wall_time(call), FPS, samples, synthetic=synthetic)


def seen_at_wall_time(call: Evidence) -> Iterator[Image]:
    """Yield for every 25th of a second the newest picture that had arrived; black before the first."""
    last: Image | None = None
    shown = -1
    for number in range(round(call.seconds * FPS)):
        newest = int(np.searchsorted(call.frame_ms, (number + 1) * 1000.0 / FPS, side="right")) - 1
        if newest != shown and newest >= 0:
            last, shown = call.picture(newest), newest
        yield _blank(call) if last is None else last


def write_side_by_side(path: Path, plain: Evidence, filtered: Evidence, trace: LinkTrace) -> None:
    """Write both calls beside each other with labels and states; the sound is the filtered call's."""
    samples = filtered.result.seen.samples.astype(np.float32) / 32768.0
    write_media(path, _side_by_side(plain, filtered, trace), FPS, samples, synthetic=True)


def link_spans(trace: LinkTrace, seconds: float) -> list[Span]:
    """Return the steps of the link as spans "good" and "bad"; bad is under 200 kbit/s."""
    ends = [step.t_ms for step in trace.steps[1:]] + [seconds * 1000.0]
    return [
        Span("good" if step.rate_kbps >= 200.0 else "bad", step.t_ms, min(end, seconds * 1000.0))
        for step, end in zip(trace.steps, ends, strict=True)
    ]


def _side_by_side(plain: Evidence, filtered: Evidence, trace: LinkTrace) -> Iterator[Image]:
    width, height = PANE
    canvas = np.full((BAR + height + TIMELINE, 2 * width, 3), _PAPER, np.uint8)
    links = link_spans(trace, filtered.seconds)
    _timeline(canvas, links, filtered)
    _text(canvas, "without lipline", 14, 29, 0.7)
    _text(canvas, "with lipline", width + 14, 29, 0.7)
    for number, (left, right) in enumerate(zip(seen_at_wall_time(plain), seen_at_wall_time(filtered), strict=True)):
        now_ms = (number + 1) * 1000.0 / FPS
        frame = canvas.copy()
        frame[BAR : BAR + height, :width] = _fitted(left)
        frame[BAR : BAR + height, width:] = _fitted(right)
        rate = f"link {trace.at(now_ms).rate_kbps:.0f} kbit/s"
        _text(frame, rate, width - 190, 28, 0.55, COLOURS[_name_at(links, now_ms)])
        state = _name_at(filtered.states, now_ms)
        _text(frame, state.upper(), 2 * width - 130, 28, 0.55, COLOURS.get(state, _DIM))
        x = int(2 * width * min(now_ms / 1000.0 / filtered.seconds, 1.0))
        cv2.line(frame, (x, BAR + height + 2), (x, BAR + height + TIMELINE - 2), _INK, 2)
        yield frame


def _timeline(canvas: Image, links: Sequence[Span], filtered: Evidence) -> None:
    top = canvas.shape[0] - TIMELINE
    for row, spans in ((0, links), (1, filtered.states)):
        y = top + 6 + row * 30
        for span in spans:
            x0, x1 = (int(canvas.shape[1] * t / 1000.0 / filtered.seconds) for t in (span.start_ms, span.end_ms))
            cv2.rectangle(canvas, (x0, y), (max(x1 - 1, x0), y + 23), COLOURS.get(span.name, _DIM), cv2.FILLED)
        _text(canvas, "link" if row == 0 else "filter", 8, y + 17, 0.5)


def _name_at(spans: Sequence[Span], now_ms: float) -> str:
    return next((span.name for span in reversed(spans) if span.start_ms <= now_ms), "")


def _fitted(image: Image) -> NDArray[np.uint8]:
    width, height = PANE
    scale = min(width / image.shape[1], height / image.shape[0])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    pane = np.zeros((height, width, 3), np.uint8)
    x, y = (width - size[0]) // 2, (height - size[1]) // 2
    pane[y : y + size[1], x : x + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return pane


def _blank(call: Evidence) -> Image:
    height, width = call.result.seen.luma.shape[1:]
    return np.zeros((height, width, 3), np.uint8)


def _text(image: Image, text: str, x: int, y: int, size: float, colour: tuple[int, int, int] = _INK) -> None:
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
