"""Compare a personal generator with the one it came from, on speech that neither was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from models.lite.network import Lite
from train.data.clips import Clip
from train.enroll.config import EnrolConfig
from train.enroll.parts import Fixed
from train.lite.config import PictureConfig
from train.lite.heard import ClipHearing
from train.lite.lip_gap import measure
from train.lite.picture import PictureTask

_COLUMNS: Final = ("generator", "r in speech", "loudness", "spread", "lag ms", "lips L1", "sharpness")


@dataclass(frozen=True, slots=True)
class Figures:
    """What held-out stretches say.

    Attributes:
        correlation, loudness, spread, lag_ms: as train.lite.lip_gap.Hearing; loudness is the control.
        lips: L1 of pictures of the true mouth shape, weighted to the lips, 0..1.
        sharpness: of these over that of the real ones.
    """

    correlation: float
    loudness: float
    spread: float
    lag_ms: float
    lips: float
    sharpness: float


def measure_person(lite: Lite, hearing: ClipHearing, clips: Sequence[Clip], config: PictureConfig) -> Figures:
    """Measure a generator on one person's `clips`; the same clips give the same pictures to draw."""
    heard = measure(lite.voice.eval(), clips, lite.basis_BV.numpy(), hearing)
    drawn = PictureTask(lite.painter, Fixed(clips), clips, config).evaluate(lite.painter.eval()).figures
    return Figures(heard.correlation, heard.loudness, heard.spread, heard.lag_ms, drawn["lips L1"], drawn["sharpness"])


def table(generic: Figures, enrolled: Figures) -> str:
    """Return the table for people, several lines."""
    widths = [10, *(max(9, len(name)) for name in _COLUMNS[1:])]
    lines = ["  ".join(f"{name:>{width}}" for name, width in zip(_COLUMNS, widths, strict=True))]
    for name, one in (("generic", generic), ("enrolled", enrolled)):
        said = [
            name,
            f"{one.correlation:.3f}",
            f"{one.loudness:.3f}",
            f"{one.spread:.2f}",
            f"{one.lag_ms:.0f}",
            f"{one.lips:.4f}",
            f"{one.sharpness:.2f}",
        ]
        lines.append("  ".join(f"{text:>{width}}" for text, width in zip(said, widths, strict=True)))
    return "\n".join(lines)


def shortcoming(generic: Figures, enrolled: Figures, config: EnrolConfig) -> str | None:
    """Say why the personal generator is not better; None when it is."""
    if not enrolled.correlation >= generic.correlation + config.gain:
        return (
            f"the correlation went from {generic.correlation:.3f} to {enrolled.correlation:.3f} "
            f"and had to rise by {config.gain:g}"
        )
    if not enrolled.lips <= generic.lips * (1.0 + config.worse):
        return f"the pictures became worse: the error on the lips went from {generic.lips:.4f} to {enrolled.lips:.4f}"
    return None
