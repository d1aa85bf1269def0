"""What a person may choose about prepared clips, and what of it makes a cached result another one."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Final

VERSION: Final = 1
"""Raise it when the same settings would track or cut otherwise: what is cached counts no more."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is tracked and cut; equal settings and equal files give equal clips.

    Attributes:
        size: side of the crops, px.
        faces: how many people are looked for in one frame.
        shortest_s: clips shorter than this are left out.
        longest_s: clips are cut at a silence before they are longer.
        smallest_eyes: distance of the outer eye corners in the video, px, below which a face is too small.
        least_sharpness: variance of the Laplacian that a mouth must have (train.prepare.quality.sharpness).
        largest_yaw: degrees a head may be turned.
    """

    size: int = 128
    faces: int = 4
    shortest_s: float = 1.0
    longest_s: float = 10.0
    smallest_eyes: float = 24.0
    least_sharpness: float = 12.0
    largest_yaw: float = 40.0

    def __post_init__(self) -> None:
        if not 64 <= self.size <= 256:
            raise ValueError(f"the size is {self.size} px: crops have 64 to 256")
        if self.faces < 1:
            raise ValueError(f"{self.faces} faces are looked for: at least 1")
        if not 0.2 <= self.shortest_s < self.longest_s <= 10.0:
            raise ValueError(f"clips of {self.shortest_s:g} to {self.longest_s:g} s: they have 0.2 to 10")

    def fingerprint(self) -> str:
        """Return 12 hex digits that differ when anything differs that a tracked video depends on."""
        said = json.dumps([VERSION, asdict(self)], sort_keys=True).encode()
        return hashlib.sha256(said).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the tracked clips are kept; a change needs no tracking anew.

    Attributes:
        least_confidence: of the audio-visual offset (median minus least distance over all shifts).
        tolerance: frames of offset that are left as they are, and by which a clip may differ from its video.
        likeness: least similarity to the reference face.
    """

    least_confidence: float = 0.15
    tolerance: int = 1
    likeness: float = 0.735
