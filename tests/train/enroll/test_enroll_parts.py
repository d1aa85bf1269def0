"""A recording is parted in time: contiguous, apart, all over it."""

from collections import Counter

import numpy as np
import pytest

from train.data.clips import Clip
from train.enroll.config import PartsConfig
from train.enroll.parts import Parts, Stretch, cut, part, planned, seconds_of

CONFIG = PartsConfig()


def numbered(frames: int, begin: int) -> Clip:
    """A clip whose sound tells the number of each frame in the recording."""
    samples = np.repeat(np.arange(begin, begin + frames), 640).astype(np.int16)
    landmarks = np.random.default_rng(begin).normal(64.0, 20.0, (frames, 468, 2)).astype(np.float32)
    return Clip(f"c{begin}", "me", "film", np.zeros((frames, 128, 128, 3), np.uint8), landmarks, samples)


def numbers(clips: tuple[Clip, ...]) -> list[int]:
    return [int(number) for clip in clips for number in clip.samples[::640]]


def recording(*lengths: int) -> list[Clip]:
    begins = np.cumsum([0, *lengths[:-1]])
    return [numbered(length, int(begin)) for length, begin in zip(lengths, begins, strict=True)]


@pytest.mark.parametrize("lengths", [(250,) * 4, (500,), (75,) * 20, (130, 60, 250, 90, 40, 200, 110)])
def test_no_frame_has_two_uses_and_no_neighbour_is_learned_from(lengths: tuple[int, ...]) -> None:
    parts = part(recording(*lengths), CONFIG)
    learn, choose, held = (numbers(some) for some in (parts.learn, parts.choose, parts.held))
    assert len({*learn, *choose, *held}) == len(learn) + len(choose) + len(held) <= sum(lengths)
    ends = set(np.cumsum(lengths).tolist())
    for one in (*held, *choose):
        for far in range(1, 11):
            # A clip's end is another sentence or another film, and no sound is shared.
            assert one + far not in learn or ends & set(range(one + 1, one + far + 1))
            assert one - far not in learn or ends & set(range(one - far + 1, one + 1))
    assert 0.75 * sum(lengths) < len(learn) + len(choose) + len(held)
    assert len(held) >= 100 and len(choose) >= 50 and len(learn) > len(held) + len(choose)


def test_minutes_are_held_out_all_over_and_seconds_in_one_stretch() -> None:
    roles = planned(3000, CONFIG)
    assert Counter(roles)["held"] == pytest.approx(600, abs=5)
    starts = [i for i in range(1, 3000) if roles[i] == "held" != roles[i - 1]]
    assert len(starts) == 4 and max(np.diff(starts)) < 800
    short = planned(500, CONFIG)
    assert Counter(short) == {"learn": 300, "held": 125, "choose": 75}


def test_a_piece_keeps_sound_and_picture_together_and_the_closed_mouth_of_its_clip() -> None:
    clip = numbered(60, 0)
    piece = cut(clip, 20, 50)
    assert isinstance(piece, Stretch) and len(piece) == 30 and cut(clip, 0, 60) is clip
    assert numbers((piece,)) == list(range(20, 50))
    assert np.array_equal(piece.crops, clip.crops[20:50]) and np.array_equal(piece.shapes, clip.shapes[20:50])
    assert np.array_equal(piece.neutral, clip.neutral)
    assert seconds_of([piece, clip]) == 3.6


def test_too_short_a_rest_is_not_used() -> None:
    assert part([numbered(20, 0)], CONFIG) == Parts((), (), ())
