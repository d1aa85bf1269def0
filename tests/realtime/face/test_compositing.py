import cv2
import numpy as np
import pytest
from face_fakes import LoudnessMouth, draw, face_at
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.alignment import SILENCE
from models.generator import FaceImage, Image, Landmarks, Patch
from models.landmarks import FACE_OVAL, LIPS_OUTER, aligned_matrix
from realtime.face.badge import GENERATED, Badge
from realtime.face.compose import Compositor
from realtime.face.morph import melt, move_face

LOUD = np.full((80, 16), 4.0, np.float32)


def hull_mask(points: Landmarks, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape[:2], np.uint8)
    hull = np.asarray(cv2.convexHull(np.round(points).astype(np.int32)), np.int32)
    cv2.fillConvexPoly(mask, hull, (1,))
    return mask.astype(bool)


def crop_patch(image: Image, landmarks: Landmarks, size: int = 200, new: Landmarks | None = None) -> Patch:
    matrix = aligned_matrix(landmarks, size)
    crop = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return Patch(np.asarray(crop, np.uint8), matrix, landmarks if new is None else new)


def test_pasting_a_frame_into_itself_changes_next_to_nothing() -> None:
    face = face_at()
    image = draw(face)
    pasted = Compositor().paste(image, crop_patch(image, face), face)
    assert np.abs(pasted.astype(int) - image).mean() < 0.3
    assert pasted is not image


def test_the_mouth_arrives_and_the_rest_stays_byte_for_byte() -> None:
    face = face_at()
    image = draw(face)
    mouth = face_at(opening=0.25)
    pasted = Compositor().paste(image, crop_patch(draw(mouth), face, new=mouth), face)
    lips = hull_mask(face[list(LIPS_OUTER)], image.shape)
    assert np.abs(pasted.astype(int) - draw(mouth))[lips].mean() < 6.0
    above = np.arange(image.shape[0])[:, None] < face[5, 1] - 4
    assert np.array_equal(
        pasted[np.broadcast_to(above, image.shape[:2])], image[np.broadcast_to(above, image.shape[:2])]
    )
    # The mask reaches 0.16 eye distances below the chin, and its feather 0.21 further: 22 px here.
    far = ~cv2.dilate(hull_mask(face[list(FACE_OVAL)], image.shape).astype(np.uint8), np.ones((47, 47))).astype(bool)
    assert np.array_equal(pasted[far], image[far])


@pytest.mark.parametrize("tint", [(12, 12, 12), (-15, 5, 10)])
def test_a_colour_cast_of_the_patch_is_taken_out(tint: tuple[int, int, int]) -> None:
    face = face_at()
    image = draw(face)
    cast = np.clip(image.astype(int) + tint, 0, 255).astype(np.uint8)
    pasted = Compositor().paste(image, crop_patch(cast, face), face)
    chin = hull_mask(face[[17, 84, 314, 148, 377]], image.shape)
    assert np.abs(pasted.astype(int) - image)[chin].mean() < 2.0


def test_no_seam_is_steeper_than_the_picture_itself() -> None:
    face = face_at(eyes=80.0)
    flat = np.full((320, 320, 3), 128, np.uint8)
    patch = crop_patch(np.full_like(flat, 140), face)
    # With colour matching out of reach (content, not colour) the feather alone must hide the edge.
    patch.image[::2] = 190
    pasted = Compositor().paste(flat, patch, face).astype(int)
    blurred = cv2.GaussianBlur(pasted.astype(np.float32), (0, 0), 3.0)
    assert np.abs(np.diff(blurred, axis=1)).max() < 4.0


@settings(max_examples=40, deadline=None)
@given(st.floats(-150, 450), st.floats(-150, 350), st.floats(3, 400))
def test_any_place_and_size_survives(x: float, y: float, eyes: float) -> None:
    face = face_at(x, y, eyes)
    image = np.full((240, 320, 3), 90, np.uint8)
    patch = Patch(np.full((64, 64, 3), 200, np.uint8), aligned_matrix(face, 64), face)
    pasted = Compositor().paste(image, patch, face)
    assert pasted.shape == image.shape and pasted.dtype == np.uint8


def test_the_generators_own_patch_is_pasted_with_both_jaws_covered() -> None:
    face = face_at(opening=0.2)
    image = draw(face)
    silent = np.full((80, 16), SILENCE, np.float32)
    generator = LoudnessMouth()
    patch = generator.generate(silent, FaceImage(image, face), [FaceImage(image, face)])
    pasted = Compositor().paste(image, patch, face)
    dark_before = (image[..., 2] < 100)[hull_mask(face[list(LIPS_OUTER)], image.shape)].sum()
    dark_after = (pasted[..., 2] < 100)[hull_mask(face[list(LIPS_OUTER)], image.shape)].sum()
    assert dark_before > 100 and dark_after < 0.5 * dark_before


@pytest.mark.parametrize(("height", "width"), [(240, 320), (480, 640), (720, 1280), (1280, 720), (1080, 1920)])
def test_the_badge_is_legible_and_inside(height: int, width: int) -> None:
    badge, image = Badge(), np.full((height, width, 3), 200, np.uint8)
    marked = badge.draw(image)
    assert (image == 200).all()
    x0, y0, x1, y1 = badge.box(image.shape)
    assert 0 < y0 < y1 < height and 0 < x0 < x1 < width and x0 > width / 4
    outside = np.ones((height, width), bool)
    outside[y0:y1, x0:x1] = False
    assert np.array_equal(marked[outside], image[outside])
    plate = marked[y0:y1, x0:x1].mean(axis=2)
    text_rows = np.flatnonzero((plate > 235).any(axis=1))
    assert np.ptp(text_rows) + 1 >= 12  # px of text
    assert plate.max() - np.median(plate) > 90  # contrast


@pytest.mark.parametrize("value", [0, 128, 255])
def test_the_badge_stands_out_on_any_ground(value: int) -> None:
    badge, image = Badge(), np.full((360, 640, 3), value, np.uint8)
    x0, y0, x1, y1 = badge.box(image.shape)
    plate = badge.draw(image)[y0:y1, x0:x1].mean(axis=2)
    assert plate.max() - np.median(plate) > 90
    assert badge.text == GENERATED == "AI-generated video"


def test_the_badge_survives_tiny_images_and_changes_of_size() -> None:
    badge = Badge()
    for shape in ((8, 8, 3), (240, 320, 3), (16, 500, 3)):
        assert badge.draw(np.zeros(shape, np.uint8)).shape == shape


def test_move_face_brings_the_landmarks_to_the_target_and_leaves_the_rest() -> None:
    face, target = face_at(), face_at(x=168.0, y=94.0, eyes=62.0, opening=0.15)
    image = draw(face, 320, 480)
    moved = move_face(image, face, target)
    expected = draw(target, 320, 480)
    for index in (33, 263, 14, 17):
        x, y = np.round(target[index]).astype(int)
        ours = moved[y - 3 : y + 4, x - 3 : x + 4].astype(int)
        assert np.abs(ours - expected[y - 3 : y + 4, x - 3 : x + 4]).mean() < 25
    assert np.array_equal(moved[-40:, -60:], image[-40:, -60:])


def test_move_face_to_where_it_is_changes_nothing() -> None:
    face = face_at()
    image = draw(face)
    assert np.array_equal(move_face(image, face, face.copy()), image)


def test_melt_ends_at_either_picture() -> None:
    a, b = face_at(), face_at(x=165.0, opening=0.2)
    first, second = draw(a), draw(b)
    assert np.array_equal(melt(first, a, second, b, a, 0.0), first)
    assert np.array_equal(melt(first, a, second, b, b, 1.0), second)
    middle = melt(first, a, second, b, ((a + b) / 2).astype(np.float32), 0.5)
    assert 0 < np.abs(middle.astype(int) - first).mean() < 20


@pytest.mark.parametrize("quick", [False, True])
def test_a_mouth_that_moves_leaves_the_rest_of_the_head_alone(quick: bool) -> None:
    shut, wide = face_at(), face_at(opening=0.25)
    image = draw(shut)
    middle = ((shut + wide) / 2).astype(np.float32)
    moved = move_face(image, shut, middle, quick=quick)
    above, mouth = slice(0, int(shut[33, 1])), slice(110, 170)
    assert np.abs(moved.astype(int) - draw(middle))[mouth].mean() < 6.0
    mixed = melt(image, shut, draw(wide), wide, middle, 0.5, quick=quick)
    assert all(np.abs(made.astype(int) - image)[above].mean() < 0.05 for made in (moved, mixed))


@pytest.mark.parametrize("size", [(720, 1280), (719, 1279)])
def test_large_pictures_melt_as_small_ones_do(size: tuple[int, int]) -> None:
    def place(opening: float, x: float) -> Landmarks:
        return (face_at(x=x, opening=opening) * 4.0).astype(np.float32)

    a, b = place(0.02, 160.0), place(0.2, 168.0)
    first, second = draw(a, *size), draw(b, *size)
    at = ((a + b) / 2).astype(np.float32)
    fine, quick = (melt(first, a, second, b, at, 0.5, quick=quick) for quick in (False, True))
    assert quick.shape == fine.shape == first.shape
    small = (cv2.resize(image, (320, 180), interpolation=cv2.INTER_AREA).astype(int) for image in (fine, quick))
    assert np.abs(next(small) - next(small)).mean() < 1.0
    far = (slice(0, 40), slice(0, 40))
    assert np.array_equal(quick[far], fine[far])
