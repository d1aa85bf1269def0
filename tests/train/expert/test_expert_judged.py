"""Off-sync accuracy of planted experts."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from spoken_bars import bar_clip

from train.data.clips import Clip
from train.expert.judged import (
    DISTANCES,
    FAR,
    OTHER,
    SILENCE_TOO,
    Judged,
    accuracies,
    accuracy,
    best_threshold,
    judge_clips,
)

WINDOWS = 40


def judged(own: NDArray[np.float64], speech: NDArray[np.bool_] | None = None) -> Judged:
    return Judged(own.astype(np.float32), None, np.full(len(own), True) if speech is None else speech)


def by_distance(hears: int) -> NDArray[np.float64]:
    """Return cosines of an expert that tells moments apart that lie `hears` frames or more from one another."""
    index = np.arange(WINDOWS)
    return np.where(np.abs(index[:, None] - index[None]) < hears, 0.8, 0.3)


def test_accuracy_is_half_for_each_side() -> None:
    together, apart = np.array([0.9, 0.4], np.float32), np.array([0.1, 0.1, 0.1, 0.7], np.float32)
    assert accuracy(together, apart, 0.5) == pytest.approx((0.5 + 0.75) / 2)
    assert math.isnan(accuracy(together, apart[:0], 0.5))


def test_rows_tell_how_near_an_expert_hears() -> None:
    rows = accuracies([judged(by_distance(4))], 0.5)
    assert [rows[name] for name in DISTANCES] == [0.5, 0.5, 0.5, 1.0, 1.0, 1.0, 1.0]
    assert rows[FAR] == 1.0 and math.isnan(rows[OTHER])
    # A threshold above every cosine calls nothing in sync.
    assert accuracies([judged(by_distance(4))], 0.9)[FAR] == 0.5


def test_silence_counts_only_where_it_is_said() -> None:
    own, speech = by_distance(1), np.arange(WINDOWS) >= 10
    own[:10, :10] = 0.8  # closed mouths fit one another's silence
    rows = accuracies([judged(own, speech)], 0.5)
    assert rows[FAR] == 1.0 and rows[SILENCE_TOO] < 1.0


def test_the_threshold_is_found_between_the_sides() -> None:
    found = best_threshold([judged(by_distance(3))])
    assert 0.3 <= found < 0.8
    assert accuracies([judged(by_distance(3))], found)[FAR] == 1.0


def test_clips_meet_themselves_and_the_next_one() -> None:
    clips = [bar_clip("anna", seed, frames=30) for seed in range(3)] + [bar_clip("ben", frames=4)]

    def embed(clip: Clip) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        place = clips.index(clip)
        video = np.eye(4, dtype=np.float32)[[place] * (len(clip) - 4)]
        return video, video

    found = judge_clips(embed, clips, 5)
    assert len(found) == 3, "a clip shorter than a window is left out"
    for one, clip in zip(found, clips, strict=False):
        assert one.own.shape == (26, 26) and (one.own == 1).all()
        assert one.other is not None and (one.other == 0).all()
        np.testing.assert_array_equal(one.speech, clip.speech[2:28])
    assert judge_clips(embed, clips[:1], 5)[0].other is None
