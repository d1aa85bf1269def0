"""Pack what is kept of tracked videos into shards, in an order that does not depend on who tracked what when."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from train.data.clips import FPS
from train.data.shards import (
    FRAME_SAMPLES,
    LIMIT_BYTES,
    ShardWriter,
    decode_sample,
    encode_info,
    encode_sample,
    encode_speech,
    sample_info,
)
from train.prepare.cache import Cache
from train.prepare.choice import Kept, choose, fitting
from train.prepare.corpus import Video
from train.prepare.reference import likeness
from train.prepare.report import PreparationReport
from train.prepare.settings import Choice

NAME: Final = "clips"
"""Shards are called clips-000000.tar and so on."""


def pack(
    videos: Iterable[tuple[Video, str]],
    store: Cache,
    out: Path,
    choice: Choice,
    report: PreparationReport,
    shortest: int = 25,
    expert: str | None = None,
    reference: NDArray[np.float16] | None = None,
    limit_bytes: int = LIMIT_BYTES,
) -> None:
    """Write the shards of `videos` (each with the SHA-256 of its content) into `out` in place of those there.

    Args:
        videos: all of them tracked.
        store: where.
        out: folder of the shards.
        choice: what is kept.
        report: is told of every clip and of what is left out.
        shortest: frames that a clip must keep when sound at its ends is moved away.
        expert: fingerprint of the expert whose word counts; None moves no sound.
        reference: whom the clips must show; None is anybody.
        limit_bytes: a new shard begins when one holds so much.

    Raises:
        ShardError: the cache is damaged.
    """
    fresh = out / "fresh"
    _empty(fresh)
    with ShardWriter(fresh, NAME, limit_bytes) as writer:
        for video, sha256 in sorted(videos, key=lambda one: (one[0].speaker, one[0].source, one[1])):
            outcome = store.outcome(sha256)
            curves = None if expert is None else store.curves(sha256, expert)
            likes = None
            if reference is not None:
                likes = {key: likeness(reference, seen) for key, seen in store.descriptors(sha256).items()}
            kept, left = choose(outcome.candidates, choice, curves, likes)
            kept, short = fitting(kept, outcome.sound, shortest)
            for reasons in (outcome.lost, left, short):
                report.left_out(video.path.name, reasons)
            report.looked_at(outcome.frames)
            for key, members in _members(video, sha256, store, kept):
                info = sample_info(key, members)
                report.kept(video.speaker, info.frames, info.offset_ms)
                writer.write_members(key, members)
    # Old shards go when the new ones are whole.
    for old in out.glob(f"{NAME}-*.tar"):
        old.unlink()
    for path in sorted(fresh.glob("*.tar")):
        path.replace(out / path.name)
    fresh.rmdir()


def _members(video: Video, sha256: str, store: Cache, kept: Iterable[Kept]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield key and members of the clips that are kept, with their sound where it belongs."""
    wanted = {one.candidate.key: one for one in kept}
    if not wanted:
        return
    speech = store.speech(sha256) if any(one.offset for one in wanted.values()) else np.zeros(0, np.int16)
    for name, members in store.clips(sha256):
        if (one := wanted.get(name)) is None:
            continue
        if one.offset:
            members = moved(name, members, one, speech)
        info = sample_info(name, members)
        info = replace(
            info, speaker=video.speaker, source=video.source, offset_ms=one.offset_ms, confidence=one.confidence
        )
        yield sample_key(video, sha256, name), {**members, "json": encode_info(info)}


def sample_key(video: Video, sha256: str, name: str) -> str:
    """Return a key that is unique in all corpora and sorts by speaker and video."""
    said = f"{video.speaker}_{video.source}"[:60]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', said)}_{sha256[:10]}_{name}"


def moved(name: str, members: Mapping[str, bytes], kept: Kept, speech: NDArray[np.int16]) -> dict[str, bytes]:
    """Return a clip with the sound from `kept.offset` frames earlier; frames for which there is none are cut off."""
    first, count = kept.candidate.first, kept.candidate.frames
    begin, end = kept.within(len(speech) // FRAME_SAMPLES)
    sound = speech[(begin - kept.offset) * FRAME_SAMPLES : (end - kept.offset) * FRAME_SAMPLES]
    if end - begin == count:
        # The picture stays as it is: nothing is compressed twice.
        return {**members, "wav": encode_speech(sound)}
    whole = decode_sample(name, members)
    within = slice(begin - first, end - first)
    info = replace(whole.info, frames=end - begin, start_s=begin / FPS)
    return encode_sample(
        replace(whole, info=info, crops=whole.crops[within], landmarks=whole.landmarks[within], speech=sound)
    )


def _empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
