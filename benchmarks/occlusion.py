"""Measure how surely a covered mouth is told from a free one: `python -m benchmarks.occlusion [--data DIR]`.

The bundled caller is measured; with `--data` people of GRID and CREMA-D, too (docs/design/data.md says where they are
to be had).

Things that are drawn before faces (benchmarks/scenes/occluders.py) come from below in 8 frames, stay for about 16 and
leave; every frame is tracked and judged as in a call. A frame counts as covered when more than a tenth of what the
compositor paints is hidden, as free when nothing is; those between, and 200 ms after the thing has left, are not
counted. In a scene called first it is there from the first frame on, until it leaves.
"""

from realtime.process import tune

if __name__ == "__main__":
    tune()  # before numpy is imported

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from benchmarks.scenes.occluders import OCCLUDERS, add_beard, add_glasses, coarse, covered, occlude
from client.doctor.checks import CALLER
from models.alignment import SILENCE
from models.catalog import open_generator
from models.generator import Image
from models.mel import melspectrogram
from realtime.face.measure import TrackedFace
from realtime.face.occlusion import OcclusionGuard
from realtime.face.synth import FaceSynth
from realtime.face.tracker import MediaPipeTracker
from realtime.media_file import read_audio, read_video

FRAME_MS = 40.0
FRAMES = 64
COMES, STAYS, LEAVES = 24, 32, 48
PLAIN = ("nothing", "glasses", "beard", "coarse")
FIRST = " first"
FIRSTS = tuple(kind + FIRST for kind in OCCLUDERS)


@dataclass(slots=True)
class Count:
    """What was judged of the frames of one kind of scene.

    Attributes:
        covered: count of frames with a covered mouth.
        missed: count of those that were taken for free.
        free: count of frames with a free mouth.
        alarms: count of those that were taken for covered.
        late_frames: for each scene the frames until a covered mouth was noticed; 99 for never.
    """

    covered: int = 0
    missed: int = 0
    free: int = 0
    alarms: int = 0
    late_frames: list[int] = field(default_factory=list)


def way(frame: int, first: bool = False) -> float:
    """Return how far below the mouth the thing is in `frame`, in eye distances; 9 is out of sight."""
    near = min(1.0 if first else (frame - COMES) / (STAYS - COMES), (LEAVES + 8 - frame) / 8.0, 1.0)
    return 9.0 if near <= 0.0 else 2.6 * (1.0 - near * near * (3.0 - 2.0 * near))


def scenes(images: list[Image], faces: list[TrackedFace | None], kind: str, seed: int) -> Iterator[tuple[Image, float]]:
    """Yield the frames with what `kind` says drawn on them, and the share of the painted area that is hidden."""
    thing = kind.removesuffix(FIRST)
    for i, (image, face) in enumerate(zip(images, faces, strict=True)):
        below = way(i, kind != thing)
        if face is None or kind == "nothing":
            yield image, 0.0
        elif kind == "glasses":
            yield add_glasses(image, face.landmarks), 0.0
        elif kind == "beard":
            yield add_beard(image, face.landmarks), 0.0
        elif kind == "coarse":
            yield coarse(image) if i >= COMES else image, 0.0
        elif below > 5.0:
            yield image, 0.0
        else:
            drawn, alpha = occlude(image, face.landmarks, thing, 0.5 * below * (seed % 3 - 1), below, seed)
            yield drawn, covered(alpha, face.landmarks)


def judge(pictures: Iterator[tuple[Image, float]], count: Count, spent: list[float]) -> None:
    """Track and judge a scene and add to `count`; `spent` takes the ms of each judgement."""
    tracker, guard = MediaPipeTracker(), OcclusionGuard()
    began: int | None = None
    told: int | None = None
    last = -99
    for i, (image, share) in enumerate(pictures):
        face = tracker.track(image, FRAME_MS * i)
        if face is None:
            continue
        start = time.perf_counter()
        said = guard.observe(image, face, FRAME_MS * i)
        spent.append((time.perf_counter() - start) * 1e3)
        if share > 0.0:
            last = i
        if share > 0.1:
            began = i if began is None else began
            told = i if told is None and said else told
            count.covered, count.missed = count.covered + 1, count.missed + (not said)
        elif share == 0.0 and i - last > 7:
            count.free, count.alarms = count.free + 1, count.alarms + said
    tracker.close()
    if began is not None:
        count.late_frames.append(99 if told is None else told - began)


def load(path: Path, frames: int) -> list[Image]:
    """Return the first frames of a clip, at most 360 px high."""
    images = [frame.image for frame in islice(read_video(path), frames)]
    if images and images[0].shape[0] > 360:
        scale = 360.0 / images[0].shape[0]
        images = [np.asarray(cv2.resize(i, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)) for i in images]
    return images


def track(images: list[Image]) -> list[TrackedFace | None]:
    """Return the face of each frame."""
    tracker = MediaPipeTracker()
    faces = [tracker.track(image, FRAME_MS * i) for i, image in enumerate(images)]
    tracker.close()
    return faces


def cuts(clips: list[tuple[list[Image], list[TrackedFace | None]]]) -> tuple[int, int]:
    """Show person after person to one guard; return frames seen and frames called covered, the first 8 of each too."""
    guard, seen, alarms = OcclusionGuard(), 0, 0
    t_ms = 0.0
    for number, (images, faces) in enumerate(clips):
        for image, face in zip(images, faces, strict=True):
            t_ms += FRAME_MS
            if face is not None:
                marked = TrackedFace(**{**{n: getattr(face, n) for n in face.__slots__}, "sequence": number})
                seen, alarms = seen + 1, alarms + guard.observe(image, marked, t_ms)
    return seen, alarms


class _Blind(OcclusionGuard):
    """A guard that never sees anything, as before there was a rule."""

    def observe(self, image: Image, face: TrackedFace, t_ms: float) -> bool:
        return False


def picture(path: Path, clip: Path, kind: str = "hand") -> None:
    """Write a strip: what the camera saw, what is painted without the rule, and what is painted with it."""
    images = load(clip, FRAMES)
    pictures = [image for image, _ in scenes(images, track(images), kind, 4)]
    sound = melspectrogram(read_audio(clip, 16_000))
    at = (20, 27, 28, 29, 30, 31, 40, 60)
    rows = [[pictures[i] for i in at]]
    for blind in (True, False):
        generator = open_generator("lite")
        synth = FaceSynth(generator, MediaPipeTracker(), guard=_Blind() if blind else None)
        shown = []
        for i, image in enumerate(pictures):
            # The sound of half a second later: lips that differ from the real ones.
            mel = generator.hearing.cut(
                np.pad(sound, ((0, 0), (0, 200)), constant_values=SILENCE), FRAME_MS * i + 500.0
            )
            shown.append(synth.overlay(image, mel, FRAME_MS * i, speech=True).image)
        synth.close()
        rows.append([shown[i] for i in at])
    strip = np.vstack([np.hstack([_head(image) for image in row]) for row in rows])
    cv2.imwrite(str(path), strip & np.uint8(0xFC))  # two bits less: half the file, and nobody sees it


def _head(image: Image) -> Image:
    height, width = image.shape[:2]
    side = round(0.78 * height)
    x0 = (width - side) // 2
    return np.asarray(cv2.resize(image[height - side :, x0 : x0 + side], (150, 150), interpolation=cv2.INTER_AREA))


def report(counts: dict[str, Count], spent: list[float]) -> None:
    """Print the table."""
    print(f"{'scene':17}{'covered':>9}{'missed':>9}{'free':>8}{'alarms':>8}{'late (frames, worst)':>22}")
    for kind, c in counts.items():
        missed = f"{100.0 * c.missed / c.covered:.1f} %" if c.covered else ""
        alarms = f"{100.0 * c.alarms / c.free:.1f} %" if c.free else ""
        print(f"{kind:17}{c.covered:9}{missed:>9}{c.free:8}{alarms:>8}{max(c.late_frames, default=0):22}")
    print(f"ms a frame: median {np.median(spent):.2f}, p95 {np.percentile(spent, 95):.2f}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with clips in grid/others, grid/s1 and cremad")
    parser.add_argument("--things", nargs="*", default=[*PLAIN, *OCCLUDERS, *FIRSTS], help="what to draw")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--picture", type=Path, help="write only a strip of frames with and without the rule")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    people = [CALLER]
    if args.data:
        people += sorted((args.data / "grid/others").glob("*.mkv")) + sorted((args.data / "cremad").glob("*"))[:1]
    if args.picture:
        picture(args.picture, people[min(5, len(people) - 1)])
        return
    counts, spent = {kind: Count() for kind in args.things}, list[float]()
    clips = []
    for seed, path in enumerate(people):
        images = load(path, FRAMES)
        faces: list[TrackedFace | None] = track(images)
        clips.append((images, faces))
        for number, kind in enumerate(args.things):
            judge(scenes(images, faces, kind, 100 * number + seed), counts[kind], spent)
    if args.data:
        # Nothing is ever before the face of one man through many clips, cut together.
        long = [image for path in sorted((args.data / "grid/s1").glob("*.mkv"))[:16] for image in load(path, 75)]
        counts["s1, 16 clips"] = Count()
        judge(((image, 0.0) for image in long), counts["s1, 16 clips"], spent)
        counts["persons cut"] = Count()
        counts["persons cut"].free, counts["persons cut"].alarms = cuts(clips)
    report(counts, spent)
    if args.json:
        figures = {kind: asdict(count) for kind, count in counts.items()}
        args.json.write_text(json.dumps({"scenes": figures, "ms": float(np.median(spent))}, indent=1) + "\n")


if __name__ == "__main__":
    main()
