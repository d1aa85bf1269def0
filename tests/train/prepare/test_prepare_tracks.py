"""Who is who from frame to frame, and which frames can be used."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from films import face_at, loudness
from numpy.typing import NDArray

from models.generator import Image, Landmarks
from models.landmarks import LIPS_OUTER
from train.prepare import quality
from train.prepare.faces import distinct, linked
from train.prepare.pieces import NO_FACE, NO_SOUND, NO_SPEECH, TOO_SHORT, pieces, runs
from train.prepare.settings import Settings
from train.prepare.sound import voiced
from train.prepare.track import FINE, Track, follow

GRAIN = np.random.default_rng(0).integers(60, 200, (240, 480, 3), dtype=np.uint8)


class Script:
    """A finder that has been told what it finds."""

    def __init__(self, frames: Sequence[list[Landmarks]]) -> None:
        self._frames = iter(frames)

    def find(self, image: Image) -> list[Landmarks]:
        return next(self._frames)


def followed(script: Sequence[list[Landmarks]], images: Sequence[Image] | None = None) -> list[Track]:
    tracks, count = follow(images or [GRAIN] * len(script), Script(script), 64)
    assert count == len(script)
    return tracks


def test_two_people_stay_apart_when_the_finder_changes_their_order() -> None:
    left, right = [face_at(120 + i, 80) for i in range(6)], [face_at(360 - i, 80, 50) for i in range(6)]
    tracks = followed([[a, b] if i % 2 else [b, a] for i, (a, b) in enumerate(zip(left, right, strict=True))])
    assert [(t.first, len(t)) for t in tracks] == [(0, 6), (0, 6)]
    assert np.allclose(tracks[0].eyes, 60.0, atol=0.1) and np.allclose(tracks[1].eyes, 50.0, atol=0.1)


def test_a_track_ends_where_its_face_is_gone_or_jumps() -> None:
    tracks = followed([[face_at(120, 80)], [face_at(120, 80)], [], [face_at(120, 80)], [face_at(300, 80)]])
    assert [(t.first, t.end) for t in tracks] == [(0, 2), (3, 4), (4, 5)]


def test_a_cut_to_somebody_in_the_same_place_ends_a_track() -> None:
    bright = np.asarray(255 - GRAIN // 4, dtype=np.uint8)
    tracks = followed([[face_at(120, 80)]] * 4, [GRAIN, GRAIN, bright, bright])
    assert [(t.first, t.end) for t in tracks] == [(0, 2), (2, 4)]


def test_linking_takes_the_nearest_and_no_face_twice() -> None:
    before = [face_at(100, 100), face_at(120, 100)]
    assert linked(before, [face_at(119, 100), face_at(101, 100)]) == {0: 1, 1: 0}
    assert linked(before, [face_at(110, 100)] * 3).keys() == {0, 1}
    assert linked([], [face_at(0, 0)]) == {}
    assert len(distinct([face_at(100, 100), face_at(104, 100), face_at(200, 100)])) == 2


def test_crops_hold_the_eyes_still_and_the_landmarks_lie_in_them() -> None:
    rng = np.random.default_rng(1)
    (track,) = followed([[face_at(120 + rng.normal(0, 0.3), 80 + rng.normal(0, 0.3))] for _ in range(20)])
    eyes = np.stack(track.landmarks)[:, [33, 263]].mean(1)
    assert eyes.mean(0) == pytest.approx([32.0, 0.24 * 64], abs=1.0)
    assert np.stack(track.crops).shape == (20, 64, 64, 3)


def blurred(sigma: float) -> Image:
    return np.asarray(cv2.GaussianBlur(GRAIN, (0, 0), sigma), dtype=np.uint8)


def test_frames_are_judged_by_sharpness_place_size_and_turn() -> None:
    def states(face: Landmarks, image: Image = GRAIN) -> list[str]:
        (track,) = followed([[face]] * 3, [image] * 3)
        return track.judged(Settings())

    turned = face_at(120, 80)
    turned[6] += (40, 0)
    assert states(face_at(120, 80)) == [FINE] * 3
    assert states(face_at(120, 80), blurred(6.0)) == ["blurred"] * 3
    assert states(face_at(120, 170)) == ["mouth outside the picture"] * 3
    assert states(face_at(120, 80, 20.0)) == ["face too small"] * 3
    assert states(turned) == ["turned away"] * 3


def test_sharpness_does_not_depend_on_the_size_of_the_crop() -> None:
    face = face_at(64, 31, 59.0)
    image = np.asarray(cv2.GaussianBlur(GRAIN[:128, :128], (0, 0), 2.0), dtype=np.uint8)
    double = np.asarray(cv2.resize(image, (256, 256), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    same = quality.sharpness(double, face * 2)
    assert same == pytest.approx(quality.sharpness(image, face), rel=0.3)
    assert quality.sharpness(np.full((128, 128, 3), 90, np.uint8), face) == 0.0


def face_with_lips(lips: tuple[int, int, int]) -> tuple[Image, Landmarks]:
    face = face_at(64, 31, 59.0)
    crop = np.full((128, 128, 3), (140, 160, 200), np.uint8)
    cv2.fillPoly(crop, [face[list(LIPS_OUTER)].astype(np.int32)], lips)
    return crop, face


def test_lips_are_lines_across_of_their_own_colour() -> None:
    crop, face = face_with_lips((90, 90, 190))
    assert quality.looks_like_a_mouth(crop, face)
    assert not quality.looks_like_a_mouth(*face_with_lips((140, 160, 200)))
    for x in range(40, 90, 8):
        crop[60:110, x : x + 4] = (100, 110, 150)
    assert not quality.looks_like_a_mouth(crop, face)


def film_of_a_mouth(frames: int = 40) -> NDArray[np.uint8]:
    """Return crops (T, 128, 128, 3) of skin with a mouth that opens and closes."""
    crops = np.full((frames, 128, 128, 3), (140, 160, 200), np.uint8)
    for i, crop in enumerate(crops):
        cv2.ellipse(crop, (64, 80), (14, 2 + 5 * (i % 4)), 0, 0, 360, (40, 40, 90), -1)
    return crops


def test_something_before_the_mouth_is_seen_and_speech_or_a_change_of_light_is_not() -> None:
    crops = film_of_a_mouth()
    crops[30:] = (crops[30:] * 0.8).astype(np.uint8)
    still = np.stack([quality.small(crop) for crop in crops])
    assert not quality.covered(still).any()
    for crop in crops[10:18]:
        cv2.ellipse(crop, (64, 90), (36, 30), 0, 0, 360, (60, 60, 60), -1)
    assert np.flatnonzero(quality.covered(np.stack([quality.small(c) for c in crops]))).tolist() == list(range(10, 18))


def planted(states: str, first: int = 0) -> Track:
    """Return a track whose frames are fine (.) or blurred (b)."""
    track = Track(first)
    picture = np.zeros((32, 32, 3), np.float32)
    for state in states:
        track.crops.append(np.zeros((64, 64, 3), np.uint8))
        track.landmarks.append(face_at(32, 15, 29))
        track.pictures.append(picture)
        track.eyes.append(60.0)
        track.yaws.append(0.0)
        track.inside.append(True)
        track.lips.append(True)
        track.sharpness.append(100.0 if state == "." else 1.0)
    return track


def test_pieces_are_whole_and_every_lost_frame_has_its_reason() -> None:
    loud = loudness((1, -70), (5, -20), (4, -70))
    track = planted("." * 60 + "b" * 10 + "." * 10 + "b" * 5 + "." * 175, first=0)
    found, lost = pieces([track], 260, loud, voiced(loud), Settings())
    assert [(p.first, p.end) for p in found] == [(0, 60), (85, 175)]
    assert lost == {"blurred": 15, TOO_SHORT: 10, NO_SPEECH: 75, NO_SOUND: 10}
    assert len(track.crops[found[1].within]) == 90


def test_frames_after_the_end_of_the_sound_are_not_used() -> None:
    loud = loudness((2, -20))
    found, lost = pieces([planted("." * 60)], 65, loud, np.ones(50, bool), Settings())
    assert [(p.first, p.end) for p in found] == [(0, 50)]
    assert lost == {NO_SOUND: 10, NO_FACE: 5}


def test_runs_are_found_at_both_ends() -> None:
    assert list(runs([True, True, False, True])) == [(0, 2), (3, 4)]
    assert list(runs([])) == []
