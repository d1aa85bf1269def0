from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_fakes import LoudnessMouth, draw, face_at
from values import not_none

from benchmarks.scenes.occluders import add_beard, add_glasses, coarse, covered, occlude
from models.generator import Image, Landmarks
from realtime.face.measure import describe
from realtime.face.occlusion import BEFORE_MOUTH, TURNED, UNSEEN, Fade, OcclusionGuard
from realtime.face.synth import FaceSynth
from realtime.face.tracker import MediaPipeTracker, ScriptedTracker
from realtime.media_file import read_video
from train.head import MouthAndPose, MouthShape, random_face, render

Caller = tuple[list[Image], list[Landmarks]]
"""Frames of the bundled caller, and the landmarks of the uncovered face in each."""

LOUD = np.full((80, 16), 4.0, np.float32)


@pytest.fixture(scope="module")
def caller(caller_clip: Path) -> Caller:
    frames = [picture.image for picture, _ in zip(read_video(caller_clip), range(40), strict=False)]
    tracker = MediaPipeTracker()
    faces = [tracker.track(image, 40.0 * i) for i, image in enumerate(frames)]
    tracker.close()
    return frames, [not_none(face).landmarks for face in faces]


def judge(frames: Iterable[Image]) -> list[bool | None]:
    """Return what the guard says of each frame, tracked as a call does; None where it finds no face."""
    tracker, guard = MediaPipeTracker(), OcclusionGuard()
    said: list[bool | None] = []
    for i, image in enumerate(frames):
        face = tracker.track(image, 40.0 * i)
        said.append(None if face is None else guard.observe(image, face, 40.0 * i))
    tracker.close()
    return said


@pytest.mark.parametrize("kind", ["hand", "cup"])
def test_a_thing_before_the_mouth_is_told_while_it_is_there(caller: Caller, kind: str) -> None:
    frames, faces = caller
    # It comes from below during 8 frames, stays for 8, and is gone at once.
    away = [9.0] * 14 + [2.4 * (1 - i / 7) ** 2 for i in range(8)] + [0.0] * 8
    scene, truth = [], []
    for image, landmarks, y in zip(frames, faces, away, strict=False):
        picture, alpha = occlude(image, landmarks, kind, 0.0, y, seed=3)
        scene.append(picture)
        truth.append(covered(alpha, landmarks))
    said = judge(scene + frames[len(scene) :])
    assert not any(said[:14])
    # The first frame that is covered in part may be missed.
    assert all(said[i] for i in range(14, 30) if truth[i] > 0.25)
    assert not any(said[-4:])


@pytest.mark.parametrize("dress", [add_glasses, add_beard, lambda image, _: image])
def test_glasses_and_beards_are_part_of_a_face(caller: Caller, dress: Callable[[Image, Landmarks], Image]) -> None:
    frames, faces = caller
    assert not any(judge([dress(image, landmarks) for image, landmarks in zip(frames, faces, strict=True)]))


def test_another_light_is_no_occlusion(caller: Caller) -> None:
    frames, _ = caller
    dimmed = [np.clip(image * np.array([0.9, 0.7, 0.6]), 0, 255).astype(np.uint8) for image in frames[20:]]
    assert not any(judge(frames[:20] + dimmed))


def test_pictures_of_a_starved_encoder_are_no_occlusion(caller: Caller) -> None:
    frames, _ = caller
    assert not any(judge(frames[:20] + [coarse(image) for image in frames[20:]]))


def drawn(i: int, hand: bool = False) -> tuple[Image, Landmarks]:
    face = face_at(160 + 4 * np.sin(i / 7), opening=0.02 + 0.05 * (i % 5 == 0))
    image = draw(face)
    if hand:
        cv2.rectangle(image, (120, 115), (200, 239), (110, 150, 190), -1)
        cv2.rectangle(image, (157, 115), (160, 239), (60, 90, 120), -1)
    return image, face


def test_a_hand_that_was_there_first_gives_way_to_the_face() -> None:
    guard, said = OcclusionGuard(), []
    for i in range(120):
        image, face = drawn(i, hand=i < 20)
        said.append(guard.observe(image, describe(image, face, face, 1), 40.0 * i))
    assert not any(said[:20]) and all(said[22:60]) and not any(said[-40:])


def test_a_hand_that_stayed_for_long_before_it_went_gives_way_too() -> None:
    guard, said = OcclusionGuard(), []
    for i in range(220):
        image, face = drawn(i, hand=i < 80)
        said.append(guard.observe(image, describe(image, face, face, 1), 40.0 * i))
    assert all(said[81:150]) and not any(said[-40:])


def test_a_mask_that_stays_is_never_painted_over() -> None:
    guard = OcclusionGuard()
    for i in range(400):
        image, face = drawn(i, hand=i >= 60)
        assert guard.observe(image, describe(image, face, face, 1), 40.0 * i) == (i >= 60)


@pytest.mark.parametrize(("kind", "seed"), [("mask", 1), ("paper", 2)])
def test_what_is_there_from_the_start_is_told_and_its_end_too(caller: Caller, kind: str, seed: int) -> None:
    frames, faces = caller
    masked = [occlude(i, f, kind, 0.0, 0.0, seed)[0] for i, f in zip(frames[:20], faces, strict=False)]
    said = judge(masked + frames[20:])
    # 200 ms after it has gone the mouth is free, and the face begins anew.
    assert all(said[:20]) and not any(said[27:])


@pytest.mark.parametrize("seed", [1, 4, 5, 9, 26, 38])
def test_lips_of_every_skin_are_free_from_the_start(seed: int) -> None:
    face = random_face(seed)
    guard, tracker = OcclusionGuard(), MediaPipeTracker()
    for i in range(4):
        image = render(face, MouthAndPose(MouthShape(opening=0.3 * i, jaw=0.3 * i), grain=i), (320, 240))
        found = not_none(tracker.track(image, 40.0 * i))
        for picture in (image, coarse(image), (image * 0.4).astype(np.uint8)):
            assert not guard.observe(picture, found, 40.0 * i)
            guard.reset()
    tracker.close()


def test_reasons_are_told_apart() -> None:
    guard = OcclusionGuard()
    image, face = drawn(0)
    turned = face.copy()
    turned[6, 0] += 40.0
    cut = face + np.float32(200.0)
    assert guard.why_not(image, None, 0.0) == guard.why_not(image, describe(image, cut, cut, 1), 0.0) == UNSEEN
    assert guard.why_not(image, describe(image, turned, turned, 1), 0.0) == TURNED
    for i in range(20):
        image, face = drawn(i)
        assert guard.why_not(image, describe(image, face, face, 1), 40.0 * i) is None
    image, face = drawn(20, hand=True)
    assert guard.why_not(image, describe(image, face, face, 1), 800.0) == BEFORE_MOUTH and guard.began


def test_a_fade_leads_out_and_in() -> None:
    fade = Fade()
    assert [round(fade.step(False, 40.0 * i), 2) for i in range(4)] == [0.6, 0.2, 0.0, 0.0]
    assert [round(fade.step(True, 160.0 + 50.0 * i), 2) for i in range(6)] == [0.16, 0.36, 0.56, 0.76, 0.96, 1.0]
    assert fade.step(True, 440.0, possible=False) == 0.0
    assert fade.step(True, 4000.0) == 1.0
    grey, white = np.full((2, 2, 3), 100, np.uint8), np.full((2, 2, 3), 200, np.uint8)
    fade.weight = 0.5
    assert (fade.mix(grey, white) == 150).all()


def test_an_overlay_fades_to_the_real_frame_and_keeps_the_hand_out_of_the_history() -> None:
    scenes = [drawn(i, hand=30 <= i < 45) for i in range(60)]
    synth = FaceSynth(LoudnessMouth(), ScriptedTracker([face for _, face in scenes]))
    real = []
    for i, (image, _) in enumerate(scenes):
        real.append(synth.overlay(image, LOUD, 40.0 * i, speech=True).image is image)
    assert not any(real[:32]) and all(real[33:45]) and not any(real[51:])
    history = synth.history
    recent, lending = (
        {round(frame.media_ms / 40.0) for frame in frames}
        for frames in (history.frames, history.references(len(scenes)))
    )
    # Nothing of the hand, nor of the frames just before it, may lend its teeth and lips.
    assert (recent | lending).isdisjoint(range(28, 50)) and recent >= set(range(20, 28))


def test_an_outage_behind_a_hand_shows_a_still() -> None:
    scenes = [drawn(i, hand=i >= 60) for i in range(120)]
    generator = LoudnessMouth()
    synth = FaceSynth(generator, ScriptedTracker([face for _, face in scenes]))
    for i, (image, _) in enumerate(scenes):
        synth.observe(image, 40.0 * i)
        if i == 70:
            # The last clean frames are recent enough to go on from.
            synth.start(40.0 * i + 20.0)
            assert synth.render(LOUD, 40.0 * i + 20.0, speech=True).why is None
            pose = generator.poses[-1].landmarks
            assert next(kept.media_ms for kept in synth.history.frames if kept.landmarks is pose) < 2400.0
            synth.stop()
    synth.start(4800.0)
    assert synth.render(LOUD, 4800.0, speech=True).why == BEFORE_MOUTH
