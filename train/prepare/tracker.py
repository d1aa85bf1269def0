"""From the frames and the sound of one video to clips that may be kept."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.facemesh import MESH
from models.generator import Image
from train.data.clips import FPS
from train.data.shards import FRAME_SAMPLES, Sample, SampleInfo
from train.prepare.cache import CandidateClip, Tracked, TrackedPart
from train.prepare.faces import Finder
from train.prepare.pieces import NO_SOUND, Piece, pieces
from train.prepare.reference import describe
from train.prepare.settings import Settings
from train.prepare.sound import cuts, levels, voiced
from train.prepare.track import follow

PART: Final = round(60 * FPS)
"""Frames of a video that are held at once, and for which sound and picture are taken to be equally far apart."""


def track(
    frames: Iterable[Image],
    speech: NDArray[np.int16],
    sha256: str,
    finder: Finder,
    settings: Settings,
) -> Iterator[TrackedPart]:
    """Yield the parts of a video: clips, cut where it is silent, where a face is lost and where a mouth is not seen.

    The last part is what has no sound.

    Args:
        frames: (H, W, 3) BGR at 25 fps; read a part of at most a minute at a time.
        speech: (n,) int16 at 16 kHz; sample 0 belongs to the first frame.
        sha256: of the video's content, to be written into the clips.
        finder: finds the faces.
        settings: what is usable, and how long clips are.
    """
    loudness = levels(speech)
    voice = voiced(loudness)
    stream, count = iter(frames), 0
    for part, (first, end) in enumerate(cuts(loudness, PART)):
        tracks, seen = follow(islice(stream, end - first), finder, settings.size)
        found, lost = pieces(tracks, seen, loudness[first:end], voice[first:end], settings)
        keys = (f"c{number:05d}" for number in range(count, count + len(found)))
        clips = [_tracked(piece, key, first, part, speech, sha256) for piece, key in zip(found, keys, strict=True)]
        count += len(clips)
        yield TrackedPart(clips, lost)
    without_sound = sum(1 for _ in stream)
    if without_sound:
        yield TrackedPart((), {NO_SOUND: without_sound})


def _tracked(piece: Piece, key: str, part_first: int, part: int, speech: NDArray[np.int16], sha256: str) -> Tracked:
    held, within = piece.track, piece.within
    first, frames = part_first + piece.first, piece.end - piece.first
    crops = np.stack(held.crops[within])
    info = SampleInfo(
        speaker="",
        source="",
        source_sha256=sha256,
        start_s=first / FPS,
        frames=frames,
        size=crops.shape[1],
        offset_ms=None,
        confidence=None,
        sharpness=round(float(np.median(held.sharpness[within])), 2),
        yaw=round(max(held.yaws[within]), 2),
        mesh=MESH,
    )
    sound = speech[first * FRAME_SAMPLES : (first + frames) * FRAME_SAMPLES]
    sample = Sample(key, info, crops, np.stack(held.landmarks[within]), sound)
    candidate = CandidateClip(key, first, frames, round(float(np.median(held.eyes[within])), 2), part)
    return Tracked(candidate, sample, describe(crops))
