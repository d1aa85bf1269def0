"""The examples of the report: films with sound, rows of frames at the same moments, openings over time."""

import base64
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime.media_file import write_media
from train.data.clips import FPS
from train.evaluate.drawings import curves
from train.evaluate.measure import Measured
from train.evaluate.opening import REACH, correlation
from train.evaluate.picture import mouth_region
from train.evaluate.protocol import FROZEN, LOUDNESS, REAL, Scene
from train.evaluate.talker import SpokenFrame

_MOMENTS: Final = 10
_PANE: Final = 256
_SOUND_RATE: Final = 16_000


@dataclass(frozen=True, slots=True)
class Example:
    """A pair that is shown: why it was chosen, what was measured and what it looked like."""

    why: str
    measured: Measured
    scene: Scene
    shown: Mapping[str, SpokenFrame]


def choose_examples(measured: Sequence[Measured], row: str) -> list[tuple[str, int]]:
    """Return (why, index) of the median, the best and the worst pair by the correlation of `row` in speech."""
    r = np.nan_to_num([float(correlation(one.rows[row].inside)[REACH]) for one in measured], nan=-2.0)
    order = [int(index) for index in np.argsort(r, kind="stable")]
    wanted = {"median clip": order[len(order) // 2], "best clip": order[-1], "worst clip": order[0]}
    chosen: dict[int, str] = {}
    for why, index in wanted.items():
        chosen.setdefault(index, why)
    return [(why, index) for index, why in chosen.items()]


def example_html(example: Example, models: Sequence[str]) -> str:
    """Return film, frames and curves of one example."""
    measured, main = example.measured, models[0]
    r = float(correlation(measured.rows[main].inside)[REACH])
    moments = _moments(measured.speech)
    same = measured.pose == measured.key
    told = "each half of the clip spoken over the other half" if same else f"spoken over the frames of {measured.pose}"
    rows = [REAL, *models, LOUDNESS, main + ", other speech", FROZEN]
    lines = [
        ("control", measured.rows[LOUDNESS].opening),
        ("real", measured.real),
        *((f"made m{number}", measured.rows[name].opening) for number, name in enumerate(models)),
    ]
    plot = curves(lines, measured.speech, moments, f"Mouth opening over time in the {example.why}")
    return f"""<article><h3>{escape(example.why.capitalize())}: r {r:.2f}</h3>
<p class="small">{escape(measured.key)}, {told}.</p>
{_film(example, [REAL, *models, LOUDNESS])}
<div class="strips">{_times(moments)}{"".join(_strip(name, example.shown[name], moments) for name in rows)}</div>
{plot}</article>"""


def _moments(speech: NDArray[np.bool_]) -> list[int]:
    """Return frames from just before speech to just after it, evenly spaced."""
    inside = np.flatnonzero(speech)
    first, last = (int(inside[0]), int(inside[-1])) if inside.size else (0, len(speech) - 1)
    low, high = max(0, first - 2), min(len(speech) - 1, last + 4)
    return [int(frame) for frame in np.unique(np.linspace(low, high, _MOMENTS).round())]


def _times(moments: Sequence[int]) -> str:
    cells = "".join(f"<span>{moment / FPS:.2f} s</span>" for moment in moments)
    return f'<b></b><div class="times">{cells}</div>'


def _strip(name: str, shown: SpokenFrame, moments: Sequence[int]) -> str:
    row = np.concatenate([mouth_region(shown.crops[moment]) for moment in moments], axis=1)
    done, content = cv2.imencode(".jpg", row, (cv2.IMWRITE_JPEG_QUALITY, 90))
    if not done:
        raise ValueError(f"the frames of {name} cannot be written as JPEG")
    data = base64.b64encode(content.tobytes()).decode()
    return f'<b>{escape(name)}</b><img src="data:image/jpeg;base64,{data}" alt="frames, {escape(name)}">'


def _film(example: Example, rows: Sequence[str]) -> str:
    """Return a film of some rows beside each other with the right speech, inside the page."""
    panes = [example.shown[name].crops for name in rows]
    frames = (
        cv2.resize(np.concatenate(side, axis=1), (_PANE * len(rows), _PANE), interpolation=cv2.INTER_CUBIC)
        for side in zip(*panes, strict=True)
    )
    sound = example.scene.speech.samples[: len(panes[0]) * _SOUND_RATE // round(FPS)].astype(np.float32) / 32768.0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "film.mp4"
        pictures = (np.asarray(frame, dtype=np.uint8) for frame in frames)
        write_media(file, pictures, FPS, sound, _SOUND_RATE, synthetic=True)
        data = base64.b64encode(file.read_bytes()).decode()
    labels = "".join(f"<span>{escape(name)}</span>" for name in rows)
    return (
        f'<div class="times panes">{labels}</div>'
        f'<video src="data:video/mp4;base64,{data}" controls loop preload="auto"></video>'
    )
