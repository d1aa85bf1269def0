"""What came of a preparation: a table for people, REPORT.json for programs. Names are file names, never paths."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from train.data.clips import FPS
from train.prepare.choice import NOT_HEARD

FILE: Final = "REPORT.json"
_NAMES: Final = 5


@dataclass
class PreparationReport:
    """Count what is kept and what is not. Frames are at 25 fps.

    Attributes:
        settings: what was asked for, JSON-ready; goes into the file.
        videos: how many were found.
    """

    settings: Mapping[str, Any]
    videos: int = 0
    clips: int = 0
    frames: int = 0
    seen_frames: int = 0
    moved: Counter[float] = field(default_factory=Counter)
    per_speaker: Counter[str] = field(default_factory=Counter)
    _lost: Counter[str] = field(default_factory=Counter)
    _names: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def looked_at(self, frames: int) -> None:
        """Count the frames of a video that could be read."""
        self.seen_frames += frames

    def kept(self, speaker: str, frames: int, offset_ms: float | None) -> None:
        """Count a clip."""
        self.clips += 1
        self.frames += frames
        self.per_speaker[speaker] += frames
        if offset_ms is not None:
            self.moved[offset_ms] += 1

    def left_out(self, name: str, frames: Mapping[str, int]) -> None:
        """Count what is not used of the video called `name`.

        Frames are told by reason: 0 when the video could not be read at all, or for a remark.
        """
        for reason, count in frames.items():
            self._lost[reason] += count
            self._names[reason].append(name)

    @property
    def minutes(self) -> float:
        """Length of what is kept."""
        return self.frames / FPS / 60.0

    def to_json(self) -> dict[str, Any]:
        """Return all figures as JSON-ready values."""
        reasons = sorted(self._names, key=lambda reason: (-self._lost[reason], reason))
        return {
            "settings": dict(self.settings),
            "videos": self.videos,
            "minutes_read": round(self.seen_frames / FPS / 60.0, 3),
            "clips": self.clips,
            "minutes": round(self.minutes, 3),
            "speakers": {who: round(count / FPS / 60.0, 3) for who, count in sorted(self.per_speaker.items())},
            "offsets_ms": {f"{offset:g}": count for offset, count in sorted(self.moved.items())},
            "left_out": {
                reason: {
                    "videos": len(set(self._names[reason])),
                    "minutes": round(self._lost[reason] / FPS / 60.0, 3),
                    "names": sorted(set(self._names[reason])),
                }
                for reason in reasons
            },
        }

    def write(self, out: Path) -> None:
        """Write REPORT.json into `out`."""
        partial = out / f"{FILE}.partial"
        partial.write_text(json.dumps(self.to_json(), indent=1) + "\n")
        partial.replace(out / FILE)

    def table(self) -> str:
        """Return the table for people, several lines."""
        said = self.to_json()
        lines = [
            f"videos    {said['videos']:6d}   {said['minutes_read']:8.2f} min read",
            f"clips     {said['clips']:6d}   {said['minutes']:8.2f} min kept",
            f"speakers  {len(said['speakers']):6d}   {_shortened(list(said['speakers']))}",
        ]
        if said["offsets_ms"]:
            lines.append(f"offsets corrected, ms: {', '.join(f'{k} ({n})' for k, n in said['offsets_ms'].items())}")
        else:
            lines.append("offsets of sound and picture were not measured (no expert)")
        if self._lost[NOT_HEARD] > self.frames:
            lines.append("most was left out by the expert: it may not know such faces; try --expert none")
        if said["left_out"]:
            lines.append(f"{'left out because':44s} {'videos':>6s} {'min':>7s}  for example")
        for reason, one in said["left_out"].items():
            lines.append(f"{reason[:44]:44s} {one['videos']:6d} {one['minutes']:7.2f}  {_shortened(one['names'])}")
        return "\n".join(lines)


def _shortened(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more
