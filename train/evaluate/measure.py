"""Measure one pair: every row's mouth, picture and sync against the real video of the same speech."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.generator import Generator
from train.data.clips import Clip
from train.evaluate.cpbd import cpbd
from train.evaluate.crop_mesh import CropMesh, openings
from train.evaluate.opening import closed_below, frames_until_closed, moments
from train.evaluate.picture import flicker, lip_distance, lip_sharpness, psnr, skin, ssim
from train.evaluate.protocol import (
    FROZEN,
    LOUDNESS,
    REAL,
    Scene,
    Setting,
    rebuilt,
    silenced,
    spoken_over,
)
from train.evaluate.talker import SpokenFrame
from train.prepare.offset import Curve

_CUT_FRAMES: Final = 12  # shown after the sound was cut off
_NOT_BEFORE: Final = 5  # frames: a mouth must have had time to open

Floats = NDArray[np.float64]


class Judge(Protocol):
    """Say how well lips and sound belong together; an adapter of the sync expert, and of fakes in tests."""

    def embed(
        self, crops: NDArray[np.uint8], mel: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return embeddings of video and audio (windows, E) of aligned crops and their mel."""

    def lse(self, video: NDArray[np.float32], audio: NDArray[np.float32]) -> tuple[float, float]:
        """Return LSE-D and LSE-C of one video."""


@dataclass(slots=True)
class Row:
    """What one row of the table is made of, for one pair; NaN or None where it does not apply.

    Attributes:
        opening: (T,) mouth opening, eye distances.
        inside, whole: `opening.moments` inside speech and over the clip.
        planned: the same inside speech for the shape that the generator says it drew.
        planned_seen: the same of what is seen against that shape.
        faces: share of frames in which a face was found.
        closing: frames from the last speech to a closed mouth.
        cut: frames from where the sound is cut off, the mouth wide open, to a closed mouth.
        picture: psnr, ssim, cpbd, sharpness, lmd: means over the rebuilt frames; flicker.
        lse: LSE-D and LSE-C.
        embeddings: (windows, E) of the video.
    """

    opening: Floats
    inside: Floats
    whole: Floats
    planned: Floats | None = None
    planned_seen: Floats | None = None
    faces: float = 1.0
    closing: float = math.nan
    cut: float = math.nan
    picture: dict[str, float] = field(default_factory=dict)
    lse: tuple[float, float] = (math.nan, math.nan)
    embeddings: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """The rows of one pair.

    Attributes:
        key, pose, speaker: the clips, and who.
        real: (T,) opening that the rows were compared with.
        speech: (T,) where.
        rows: by their names in the table.
        drift: how far sound and picture of the real video are apart at each offset; None where nobody listened.
    """

    key: str
    pose: str
    speaker: str
    real: Floats
    speech: NDArray[np.bool_]
    rows: dict[str, Row]
    drift: Curve | None = None


def measure(
    scene: Scene, generators: Mapping[str, Generator], mesh: CropMesh, judge: Judge | None, setting: Setting
) -> Measured:
    """Show and measure every row of a pair."""
    clip = scene.speech
    real = openings(mesh.watch(clip.crops))
    limit = _closed_below(scene)
    end = int(np.flatnonzero(clip.speech)[-1]) if clip.speech.any() else len(clip)
    still = skin(scene.pose.crops, scene.pose.landmarks)
    rows: dict[str, Row] = {}
    for name, shown in spoken_over(scene, generators, setting).items():
        points = _seen(name, shown, clip if name == REAL else scene.pose, mesh)
        opening = openings(points)
        row = rows[name] = Row(opening, moments(opening, real, clip.speech), moments(opening, real, np.isfinite(real)))
        row.faces = float(np.isfinite(opening).mean())
        row.closing = frames_until_closed(opening, end, limit)
        row.picture["flicker"] = _flicker_ratio(name, shown, scene, still)
        if shown.planned is not None:
            plan = openings(shown.planned)
            row.planned = moments(plan, real, clip.speech)
            row.planned_seen = moments(opening, plan, clip.speech)
        if name in generators:
            row.cut = _cut(scene, generators[name], opening, limit, mesh, setting)
        if judge is not None:
            video, audio = judge.embed(shown.crops, clip.mel)
            row.lse, row.embeddings = judge.lse(video, audio), video.astype(np.float16)
    _picture(scene, generators, mesh, setting, rows)
    return Measured(clip.key, scene.pose.key, clip.speaker, real, clip.speech, rows)


def _seen(name: str, shown: SpokenFrame, source: Clip, mesh: CropMesh) -> NDArray[np.float32]:
    """Return the landmarks of what is shown.

    Real frames have those that were found in the original video: a second opinion about the very frames that the
    truth was measured on, so that the row of the real video tells what this measurement can reach at best.
    """
    return source.landmarks[shown.poses] if name in (REAL, FROZEN, LOUDNESS) else mesh.watch(shown.crops)


def _closed_below(scene: Scene) -> float:
    clips = [scene.speech] if scene.pose.key == scene.speech.key else [scene.speech, scene.pose]
    gaps = np.concatenate([openings(clip.landmarks) for clip in clips])
    return closed_below(gaps, np.concatenate([clip.speech for clip in clips]))


def _cut(scene: Scene, generator: Generator, opening: Floats, limit: float, mesh: CropMesh, setting: Setting) -> float:
    """Return the frames until the mouth closes when the sound is cut off while it is widest."""
    inside = scene.speech.speech & np.isfinite(opening)
    inside[:_NOT_BEFORE] = False
    if not inside.any():
        return math.nan
    widest = int(np.argmax(np.where(inside, opening, -1.0)))
    shown = silenced(scene, generator, widest, _CUT_FRAMES, setting.away)
    return frames_until_closed(openings(mesh.watch(shown.crops)), 0, limit)


def _flicker_ratio(name: str, shown: SpokenFrame, scene: Scene, still: NDArray[np.bool_]) -> float:
    """Return the flicker of still skin over that of the real frames below it.

    Only where three frames of the pose clip follow each other as they were filmed: a head that rests shows a still
    picture, which would hide flicker.
    """
    real = scene.pose.crops
    natural = flicker(real, still, np.arange(1, len(real) - 1))
    if name == REAL or not natural > 0:
        return 1.0 if name == REAL else math.nan
    steps = np.diff(shown.poses)
    smooth = np.arange(1, len(shown.poses) - 1)
    if name not in (FROZEN, LOUDNESS):
        smooth = np.flatnonzero((np.abs(steps[1:]) == 1) & (steps[1:] == steps[:-1])) + 1
        below = flicker(real[shown.poses], still, smooth)
        return flicker(shown.crops, still, smooth) / below if below > 0 else math.nan
    return flicker(shown.crops, still, smooth) / natural


def _picture(
    scene: Scene, generators: Mapping[str, Generator], mesh: CropMesh, setting: Setting, rows: Mapping[str, Row]
) -> None:
    """Fill in what is measured on rebuilt frames."""
    clip = scene.speech
    frames, shown = rebuilt(scene, generators, setting)
    truth = mesh.watch(clip.crops[frames])
    for name, video in shown.items():
        points = _seen(name, video, clip, mesh)
        found: dict[str, list[float]] = {name: [] for name in ("psnr", "ssim", "cpbd", "sharpness", "lmd")}
        for made, frame, seen, true in zip(video.crops, frames, points, truth, strict=True):
            real, where = clip.crops[frame], clip.landmarks[frame]
            if name != REAL:
                found["psnr"].append(psnr(made, real))
                found["ssim"].append(ssim(made, real))
            found["cpbd"].append(_lower_cpbd(made))
            found["sharpness"].append(lip_sharpness(made, where) / max(lip_sharpness(real, where), 1e-6))
            if np.isfinite(seen).all() and np.isfinite(true).all():
                found["lmd"].append(lip_distance(seen, true))
        rows[name].picture |= {key: _mean(values) for key, values in found.items()}


def _lower_cpbd(crop: NDArray[np.uint8]) -> float:
    """Return CPBD of the lower half, the only one that is generated; NaN for crops under 128 px."""
    lower = crop[crop.shape[0] // 2 :]
    return cpbd(lower) if lower.shape[0] >= 64 else math.nan


def _mean(values: list[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan
