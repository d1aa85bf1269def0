"""The mouth folder by folder, at the offset that sound and picture of each folder's real videos have.

Whoever filmed people fixed how late the picture is. A generator that is in step with the sound looks early or late
beside such a video, and r at lag 0 blames it for that.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from models.expert.onnx import REACH as LISTENED
from train.evaluate.grid import Grid, number
from train.evaluate.measure import Measured
from train.evaluate.opening import FRAME_MS, REACH, by_speaker, lag_ms
from train.prepare.offset import joined

_HEAD: Final = ("folder", "", "clips", "people", "offset, ms", "sure", "r", "r at offset", "lag, ms", "lag at offset",
                "spread")  # fmt: skip


@dataclass(frozen=True, slots=True)
class FolderFigures:
    """The figures of a folder's clips.

    Attributes:
        name: of the folder.
        clips, people: how many.
        offset: frames by which the pictures come after their sound; None where that is not sure.
        confidence: of the best offset (train.prepare.offset.Curve.confidence).
        rows: by row of the table `r` (at lag 0), `lag` (of the best fit, ms), `r_own` and `lag_own` (the same at the
            folder's offset), `spread`. NaN where it does not apply.
    """

    name: str
    clips: int
    people: int
    offset: int | None
    confidence: float
    rows: Mapping[str, Mapping[str, float]]

    def as_json(self) -> dict[str, Any]:
        """Return plain values; what does not apply is null."""
        return {
            "clips": self.clips,
            "people": self.people,
            "offset_ms": None if self.offset is None else self.offset * FRAME_MS,
            "confidence": _plain(self.confidence),
            "rows": {row: {key: _plain(value) for key, value in of.items()} for row, of in self.rows.items()},
        }


def by_group(
    measured: Sequence[Measured], folders: Sequence[str], rows: Sequence[str], least: float
) -> list[FolderFigures]:
    """Return the figures of every folder, sorted by name.

    Args:
        measured: pairs.
        folders: of each one's speech.
        rows: of the table, that are told.
        least: confidence of an offset below which it is not believed.
    """
    found = []
    for name in sorted(set(folders)):
        members = [one for one, folder in zip(measured, folders, strict=True) if folder == name]
        offset, confidence = _offset(members, least)
        figures = {row: _figures(members, row, offset) for row in rows}
        people = len({one.speaker for one in members})
        found.append(FolderFigures(name, len(members), people, offset, confidence, figures))
    return found


def _offset(members: Sequence[Measured], least: float) -> tuple[int | None, float]:
    """Return the offset of some clips together and how sure it is; None at the edge of what was tried, too."""
    heard = [one.drift for one in members if one.drift is not None]
    if not heard:
        return None, math.nan
    curve = joined(heard)
    offset, confidence = curve.offset, curve.confidence(curve.offset)
    return (offset if confidence >= least and abs(offset) < LISTENED else None), confidence


def _figures(members: Sequence[Measured], row: str, offset: int | None) -> dict[str, float]:
    curve, wide = by_speaker(np.stack([one.rows[row].inside for one in members]), [one.speaker for one in members])
    lag, own, lag_own = lag_ms(curve), math.nan, math.nan
    # The real picture is late by the offset, so who is in step with the sound is as early.
    if offset is not None and abs(offset) <= REACH:
        own, lag_own = float(curve[REACH - offset]), lag + offset * FRAME_MS
    return {"r": float(curve[REACH]), "r_own": own, "lag": lag, "lag_own": lag_own, "spread": float(wide)}


def group_grid(groups: Sequence[FolderFigures]) -> Grid:
    """Return the figures as a table; what the folder says stands in its first line."""
    rows = []
    for group in groups:
        offset = math.nan if group.offset is None else group.offset * FRAME_MS
        said = [group.name, str(group.clips), str(group.people), number(offset, 0), number(group.confidence, 2)]
        for row, of in group.rows.items():
            figures = [number(of[key], digits) for key, digits in (("r", 2), ("r_own", 2), ("lag", 0), ("lag_own", 0),
                       ("spread", 2))]  # fmt: skip
            rows.append([said[0], row, *said[1:], *figures])
            said = [""] * len(said)
    return Grid(_HEAD, rows, words=2)


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
