"""Offsets of sound and picture, and which clips are kept."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.expert.onnx import REACH, lse
from train.prepare.cache import CandidateClip
from train.prepare.choice import (
    ADRIFT,
    MOVED_OUT,
    NOT_HEARD,
    SOMEBODY_ELSE,
    WRONG_PERSON,
    Kept,
    choose,
    fitting,
)
from train.prepare.offset import Curve, curve, joined
from train.prepare.settings import Choice


def embeddings(count: int, seed: int = 0) -> NDArray[np.float32]:
    found = np.random.default_rng(seed).normal(size=(count, 32))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


def shifted(count: int, offset: int, noise: float = 0.05, seed: int = 0) -> Curve:
    """Return the curve of a clip whose picture comes `offset` windows after its sound."""
    both = embeddings(count + 2 * REACH, seed)
    video = both[REACH - offset : REACH - offset + count] + noise * embeddings(count, seed + 1)
    return curve(video, both[REACH : REACH + count])


def unheard(count: int, seed: int = 50) -> Curve:
    return curve(embeddings(count, seed), embeddings(count, seed + 1))


@pytest.mark.parametrize("offset", [-12, -1, 0, 7])
def test_the_planted_offset_is_found_with_the_sign_of_the_experts_module(offset: int) -> None:
    found = shifted(60, offset)
    assert found.offset == offset
    assert found.confidence(offset) > 0.8
    both = embeddings(90)
    said = lse(both[REACH - offset :][:60], both[REACH:][:60])
    exact = curve(both[REACH - offset :][:60], both[REACH:][:60])
    assert said.offset_frames == exact.offset == offset
    assert exact.confidence(offset) == pytest.approx(said.confidence, abs=1e-5)


def test_joined_curves_weigh_clips_by_their_length() -> None:
    long, short = shifted(100, 3), shifted(25, -5, seed=9)
    assert joined([long, short]).offset == 3
    assert joined([long, short]).counts.max() == 125
    again = Curve.from_json(long.to_json())
    assert np.array_equal(again.distances, long.distances)


def test_a_clip_shorter_than_the_reach_is_judged_where_it_can_be() -> None:
    found = shifted(10, 2)
    assert np.isinf(found.distances[[0, -1]]).all()
    assert found.offset == 2


def candidate(key: str, first: int, frames: int = 75, eyes: float = 60.0, part: int = 0) -> CandidateClip:
    return CandidateClip(key, first, frames, eyes, part)


def test_without_an_expert_the_largest_face_of_a_moment_is_kept() -> None:
    clips = [candidate("a", 0, eyes=40), candidate("b", 10, eyes=70), candidate("c", 100, eyes=30)]
    kept, lost = choose(clips, Choice())
    assert [(one.candidate.key, one.offset, one.offset_ms) for one in kept] == [("b", 0, None), ("c", 0, None)]
    assert lost == {SOMEBODY_ELSE: 75}


def test_with_an_expert_the_one_who_speaks_is_kept_even_if_smaller() -> None:
    clips = [candidate("large", 0, eyes=90), candidate("speaks", 0, eyes=40)]
    kept, lost = choose(clips, Choice(), {"large": unheard(71), "speaks": shifted(71, 0)})
    assert [one.candidate.key for one in kept] == ["speaks"]
    assert lost.total() == 75


def test_an_offset_is_corrected_for_all_clips_of_a_video_alike() -> None:
    clips = [candidate("a", 0), candidate("b", 100)]
    kept, lost = choose(clips, Choice(), {"a": shifted(71, 5), "b": shifted(71, 4, seed=3)})
    assert {(one.offset, one.offset_ms) for one in kept} in ({(5, 200.0)}, {(4, 160.0)})
    assert not lost
    near, _ = choose(clips[:1], Choice(), {"a": shifted(71, 1)})
    assert near[0].offset == 0 and near[0].offset_ms == 0.0


def test_clips_that_do_not_go_with_their_sound_are_left_out() -> None:
    clips = [candidate("a", 0, 250), candidate("b", 300), candidate("c", 400)]
    heard = {"a": shifted(246, 0), "b": shifted(71, 8, seed=5), "c": unheard(71)}
    kept, lost = choose(clips, Choice(least_confidence=0.5), heard)
    assert [one.candidate.key for one in kept] == ["a"]
    assert lost == {ADRIFT: 75, NOT_HEARD: 75}
    assert choose(clips[2:], Choice(least_confidence=0.5), {"c": unheard(71)})[0] == []


def test_only_the_person_of_the_reference_is_kept() -> None:
    clips = [candidate("a", 0), candidate("b", 100)]
    kept, lost = choose(clips, Choice(likeness=0.7), None, {"a": 0.9, "b": 0.6})
    assert [one.candidate.key for one in kept] == ["a"]
    assert lost == {WRONG_PERSON: 75}


def test_moving_the_sound_takes_the_ends_that_have_none() -> None:
    late, early = Kept(candidate("a", 0), offset=6), Kept(candidate("b", 100, 50), offset=-6)
    assert late.within(150) == (6, 75)
    assert early.within(150) == (100, 144)
    kept, lost = fitting([late, early], 150, 45)
    assert kept == [late]
    assert lost == {MOVED_OUT: 6 + 50}
