"""Show frames of a mode side by side: `python -m docs.make_pictures photo|cam OUT.png [PICTURE ...]`.

`cam` shows all modes of a local call (docs/make_pictures/cam.py), with the first picture as the photo. `photo`: without
pictures, a frame of the bundled caller (rendered) and a drawing go through the whole of `photo`: read from a
file, placed, spoken with the bundled model, moved. The words are the bundled caller's.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from realtime.speech.mel_history import MelHistory

from benchmarks.scenes.drawn_face import drawn_face
from client.doctor.checks import CALLER
from docs.make_pictures.cam import cam
from docs.make_pictures.tiles import close_up, labelled
from models.catalog import open_generator
from models.facemesh import FaceMesh
from models.generator import Generator, Image
from models.landmarks import mouth_opening
from models.mel import SAMPLE_RATE
from models.melstream import StreamingMel
from realtime.face.measure import eye_opening
from realtime.face.synth import FaceSynth
from realtime.face.tracker import ScriptedTracker
from realtime.media_file import read_audio_blocks, read_video
from realtime.photo.portrait import Portrait, load_portrait

INTERVAL_MS = 40.0
SPEAKING_MS, RESTING_MS = 8000.0, 7000.0


def windows(generator: Generator, until_ms: float) -> Iterator[NDArray[np.float32]]:
    """Yield the mel window of each frame of the caller's speech up to `until_ms`."""
    mel, columns, index = StreamingMel(), MelHistory(), 0
    for block in read_audio_blocks(CALLER, SAMPLE_RATE):
        columns.extend(mel.push(block))
        while columns.ready(generator.window, index * INTERVAL_MS):
            if index * INTERVAL_MS >= until_ms:
                return
            yield columns.window(generator.window, index * INTERVAL_MS)
            index += 1


def spoken(portrait: Portrait, generator: Generator) -> list[Image]:
    """Return the frames of some speech and the silence after it."""
    synth = FaceSynth(generator, ScriptedTracker([None]))
    synth.start(0.0, portrait)
    frames: list[Image] = []
    for window in windows(generator, SPEAKING_MS):
        portrait.hear(len(frames) * INTERVAL_MS, float(window.mean()) * 5.0 - 20.0)
        frames.append(synth.render(window, len(frames) * INTERVAL_MS, speech=True).image)
    while len(frames) * INTERVAL_MS < SPEAKING_MS + RESTING_MS:
        frames.append(synth.render(None, len(frames) * INTERVAL_MS, speech=False).image)
    return frames


def photo_rows(path: Path, generator: Generator) -> list[Image]:
    """Return two rows for a picture: whole frames, and mouth and eyes close up."""
    portrait = load_portrait(path)
    frames = spoken(portrait, generator)
    with FaceMesh(static=True) as mesh:
        seen = [mesh.find(frame) for frame in frames]
        rest = mesh.find(portrait.frame.image)
    assert rest is not None
    mouths = np.array([mouth_opening(face) if face is not None else 0.0 for face in seen])
    eyes = np.array([eye_opening(face) if face is not None else 1.0 for face in seen])
    count = round(SPEAKING_MS / INTERVAL_MS)
    order = np.argsort(mouths[:count])
    wanted = [int(order[int(share * (count - 1))]) for share in (1.0, 0.9, 0.7)]
    shut = count + int(np.argmin(eyes[count:]))
    wanted += [max(shut - 2, 0), shut, min(shut + 3, len(frames) - 1), len(frames) - 1]
    print(
        f"{path.name}: mouth open {mouths[:count].max():.2f} in speech, {mouths[count + 3 :].max():.2f} in silence; "
        f"eyes {eye_opening(rest):.2f} in the picture, {eyes[shut]:.2f} shut"
    )
    words = ["the picture", *(f"speaking {mouths[i]:.2f}" for i in wanted[:3])]
    words += [f"eyes {eyes[i]:.2f}" for i in wanted[3:6]] + ["silent"]
    tiles = [portrait.frame.image, *(frames[i] for i in wanted)]
    faces = [rest, *(seen[i] for i in wanted)]
    row = np.hstack([labelled(tile, word)
                     for tile, word in zip(tiles, words, strict=True)])  # fmt: skip
    near = np.hstack([close_up(tile, rest if face is None else face, index >= 4)
                      for index, (tile, face) in enumerate(zip(tiles, faces, strict=True))])  # fmt: skip
    return [row, near]


def photo(out: Path, pictures: Sequence[Path]) -> None:
    """Write the strip of the `photo` mode."""
    generator = open_generator("lite")
    with tempfile.TemporaryDirectory() as folder:
        if not pictures:
            pictures = [Path(folder) / "caller.jpg", Path(folder) / "drawing.png"]
            cv2.imwrite(str(pictures[0]), next(iter(read_video(CALLER))).image)
            cv2.imwrite(str(pictures[1]), drawn_face())
        rows = [row for path in pictures for row in photo_rows(path, generator)]
    cv2.imwrite(str(out), np.vstack(rows))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m docs.make_pictures", description=(__doc__ or "").split(":")[0])
    parser.add_argument("mode", choices=["photo", "cam"])
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("pictures", type=Path, nargs="*", metavar="PICTURE")
    args = parser.parse_args()
    if args.mode == "cam":
        cam(args.out, args.pictures[0] if args.pictures else None)
    else:
        photo(args.out, args.pictures)


if __name__ == "__main__":
    main()
