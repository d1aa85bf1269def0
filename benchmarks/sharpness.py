"""Compare drawn mouths with real ones: `python -m benchmarks.sharpness [--video FILE] [--heights 150,300,450]`.

The generator is told the true shape of a frame, draws it on a frame 8 earlier from references at least 4 frames away,
and the compositor puts it in; so hearing has no part in it. Heads are those of the bundled caller's face, rendered at
450 px from brow to chin, or of a video; smaller ones are reduced from the same frames, and none is enlarged.
"""

from realtime.process import tune

if __name__ == "__main__":
    tune()  # before numpy is imported

import argparse
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from client.doctor.checks import CALLER
from models.catalog import open_generator
from models.facemesh import FaceMesh
from models.generator import FaceImage, Image, Landmarks
from models.landmarks import LIPS_OUTER, eye_distance
from models.lite.contract import GAP, gap
from models.lite.network import CLOSED_GAP
from models.lite.onnx import LiteGenerator
from realtime.face.compose import Compositor, lower_face
from realtime.face.measure import LandmarkSmoother
from realtime.media_file import read_video
from train.head.clip import bundled_face, render_clip
from train.head.speech import Phoneme, SpokenText

HEIGHTS: Final = (150, 300, 450)
RENDERED: Final = (1326, 994)
"""Size of a rendered picture whose head is 450 px high."""

_APART: Final = 4  # frames between a drawn frame and any that it is drawn from
_BACK: Final = 8  # frames between a drawn frame and its pose
_MARGIN: Final = 0.15  # of the lips' width, around them
_RIM: Final = 0.1  # eye distances to both sides of the edge of what is painted
_RATE: Final = 16_000


@dataclass(frozen=True, slots=True)
class DrawnMouths:
    """What was measured on heads of one size; ratios to the real frames, 1 is best.

    Attributes:
        height: px from brow to chin, median.
        sharpness: variance of the Laplacian over the lips, median.
        softest: its lowest tenth.
        seam: gradient along the edge of what is painted, mean.
        flicker: change of the lips from frame to frame, mean.
    """

    height: float
    sharpness: float
    softest: float
    seam: float
    flicker: float


def rendered(frames: int) -> list[Image]:
    """Return frames of the bundled caller's face, speaking, 450 px high."""
    said = json.loads(CALLER.with_suffix(".json").read_text(encoding="utf-8"))["phonemes"]
    phonemes = tuple(Phoneme(*values) for values in said)
    silent = np.zeros(round(phonemes[-1].end_ms * _RATE / 1000.0), np.float32)
    face = bundled_face()
    clip = render_clip(
        face, SpokenText(silent, _RATE, phonemes), seed=face.seed, size=RENDERED, duration_s=frames / 25.0
    )
    return list(clip.frames())


def seen_in(images: Sequence[Image]) -> tuple[list[Image], NDArray[np.float32]]:
    """Return the frames in which a face is seen and its landmarks (n, 468, 2) px, smoothed as in a call."""
    smooth = LandmarkSmoother()
    kept, points = [], []
    with FaceMesh() as mesh:
        for index, image in enumerate(images):
            if (found := mesh.find(image)) is not None:
                kept.append(image)
                points.append(smooth(found, index * 40.0))
    return kept, np.stack(points)


def head_px(points: NDArray[np.float32]) -> float:
    """Return the median height of faces (n, 468, 2), px."""
    return float(np.median(np.ptp(points[:, :, 1], axis=1)))


def reduced(
    images: Sequence[Image], points: NDArray[np.float32], height: float
) -> tuple[list[Image], NDArray[np.float32]]:
    """Return frames and landmarks with heads of `height` px, made smaller; as they are when they are no larger."""
    zoom = height / head_px(points)
    if zoom >= 1.0:
        return list(images), points
    h, w = (round(side * zoom) for side in images[0].shape[:2])
    exact = np.array([w / images[0].shape[1], h / images[0].shape[0]])
    small = [np.asarray(cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA), np.uint8) for image in images]
    return small, ((points + 0.5) * exact - 0.5).astype(np.float32)


def told_for(generator: LiteGenerator, shape: Landmarks, neutral: Landmarks) -> NDArray[np.float32]:
    """Return the coefficients with which `generator` draws a mouth of `shape`; `neutral` is the first reference's."""
    upper, lower = GAP
    table = generator.basis.reshape(len(generator.basis), -1, 2)
    opens = table[:, lower, 1] - table[:, upper, 1]
    least = (opens @ generator.basis) / max(float(opens @ opens), 1e-6)
    closed = neutral - (max(float(gap(neutral)) - CLOSED_GAP, 0.0) * least).reshape(neutral.shape)
    return np.asarray((shape - closed).ravel() @ generator.basis.T, dtype=np.float32)


def lips(image: Image, points: Landmarks) -> Image:
    """Return the box of the lips with a margin."""
    around = points[list(LIPS_OUTER)]
    low, high = around.min(0), around.max(0)
    margin = _MARGIN * float(high[0] - low[0])
    x0, y0 = np.maximum(np.floor(low - margin), 0).astype(int)
    x1, y1 = np.ceil(high + margin).astype(int)
    return image[y0:y1, x0:x1]


def detail(image: Image, points: Landmarks) -> float:
    """Return the variance of the Laplacian over the lips."""
    grey = cv2.cvtColor(np.ascontiguousarray(lips(image, points)), cv2.COLOR_BGR2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def rim_gradient(image: Image, old: Landmarks, new: Landmarks) -> float:
    """Return the mean gradient along the edge of what the compositor paints for a face that was `old` and is `new`."""
    inside = np.zeros(image.shape[:2], np.uint8)
    for points in (old, new):
        cv2.fillConvexPoly(inside, cv2.convexHull(lower_face(points).astype(np.int32)), (1,))
    width = 2 * max(1, round(_RIM * eye_distance(old))) + 1
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    rim = cv2.dilate(inside, around) != cv2.erode(inside, around)
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), 1.0)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return float(np.hypot(across, down)[rim].mean())


def measure(generator: LiteGenerator, images: Sequence[Image], points: NDArray[np.float32]) -> DrawnMouths:
    """Draw every frame of a clip (20 or more) from others and compare it with the real one."""
    sources = [generator.prepare(FaceImage(image, at)) for image, at in zip(images, points, strict=True)]
    order = np.argsort([float(gap(source.shape)) for source in sources])
    chosen = [int(order[round(share * (len(order) - 1))]) for share in np.linspace(0, 1, generator.references_wanted)]
    references, compositor = [sources[index] for index in chosen], Compositor()
    sharp, seams, moved, really = [], [], [], []
    last: Image | None = None
    for index in range(_BACK, len(images)):
        pose, real, at = images[index - _BACK], images[index], points[index]
        told = told_for(generator, sources[index].shape, references[0].shape)
        patch = generator.draw(told, sources[index - _BACK], references)
        made, made_at = compositor.paste(pose, patch, points[index - _BACK]), patch.landmarks
        if min(abs(index - other) for other in chosen) >= _APART:
            sharp.append(detail(made, made_at) / max(detail(real, at), 1e-6))
            edges = (rim_gradient(image, points[index - _BACK], made_at) for image in (made, pose))
            seams.append(next(edges) / max(next(edges), 1e-6))
        if last is not None:
            moved.append(np.abs(lips(made, made_at).astype(int) - lips(last, made_at)).mean())
            really.append(np.abs(lips(real, at).astype(int) - lips(images[index - 1], at)).mean())
        last = made
    return DrawnMouths(
        head_px(points),
        float(np.median(sharp)),
        float(np.percentile(sharp, 10)),
        float(np.mean(seams)),
        float(np.mean(moved) / max(float(np.mean(really)), 1e-6)),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for every height; 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sharpness", description=__doc__)
    parser.add_argument("--video", type=Path, help="a video of one speaking face, in place of the rendered head")
    parser.add_argument("--heights", default=",".join(map(str, HEIGHTS)), help="px from brow to chin")
    parser.add_argument("--frames", type=int, default=48, help="frames at most")
    args = parser.parse_args(arguments)
    generator = open_generator("lite")
    assert isinstance(generator, LiteGenerator)
    if args.video is None:
        images = rendered(args.frames)
    else:
        images = [frame.image for _, frame in zip(range(args.frames), read_video(args.video, 25.0), strict=False)]
    images, points = seen_in(images)
    print(f"source: {args.video or 'rendered head'}, {head_px(points):.0f} px high, {len(images)} frames")
    print(f"{'height px':>9s} {'sharpness':>9s} {'lowest tenth':>12s} {'seam':>6s} {'flicker':>8s}")
    for height in map(float, args.heights.split(",")):
        if height > 1.1 * head_px(points):
            print(f"{height:9.0f} larger than the source")
            continue
        row = measure(generator, *reduced(images, points, height))
        print("{:9.0f} {:9.2f} {:12.2f} {:6.2f} {:8.2f}".format(*astuple(row)), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
