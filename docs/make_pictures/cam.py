"""Film a local call of the bundled caller in all its modes, in real time, and lay out what left."""

import asyncio
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from benchmarks.cam.call import running
from benchmarks.scenes.drawn_face import drawn_face
from client.doctor.checks import CALLER
from docs.make_pictures.tiles import close_up, labelled
from models.facemesh import FaceMesh
from models.generator import Image
from models.landmarks import mouth_opening
from realtime.cam.call import LocalCall
from realtime.cam.modes import Mode
from realtime.cam.output import Picture
from realtime.clock import MonotonicClock
from realtime.media import AUDIO_RATE
from realtime.media_file import read_audio

_SHIFT_S: Final = 3.0
"""The other voice is the caller's own so much later: what is said is another thing."""
PHASES: Final = (
    ("real", Mode.THROUGH, True, 5.0),
    ("gone", Mode.THROUGH, False, 3.0),
    ("back", Mode.THROUGH, True, 2.5),
    ("photo", Mode.PHOTO, True, 3.5),
    ("after photo", Mode.THROUGH, True, 2.5),
    ("dub", Mode.DUB, True, 3.0),
    ("dub, gone", Mode.DUB, False, 2.0),
    ("dub, back", Mode.DUB, True, 1.5),
    ("after dub", Mode.THROUGH, True, 2.5),
    ("away", Mode.AWAY, True, 4.0),
)
"""Name, mode, whether the camera gives pictures, seconds."""
ROWS: Final[tuple[tuple[tuple[str, float] | tuple[str, float, float], ...], ...]] = (
    (("real", 4.9), ("gone", 0.12), ("gone", 0.4), ("gone", 0.5, 1.8), ("gone", 1.8, 2.9), ("back", 0.2), ("back", 0.4),
     ("back", 1.6)),
    (("photo", 0.2), ("photo", 0.28), ("photo", 0.36), ("photo", 0.8, 2.0), ("photo", 2.0, 3.4), ("after photo", 0.2),
     ("after photo", 0.32), ("after photo", 0.44)),
    (("dub", 0.16), ("dub", 0.6), ("dub", 0.7, 1.8), ("dub", 1.8, 2.9), ("dub, gone", 0.4, 1.9), ("dub, back", 0.2),
     ("dub, back", 0.32), ("dub, back", 1.2)),
    (("after dub", 2.4), ("away", 0.16), ("away", 0.7), ("away", 1.3), ("away", 1.9), ("away", 2.5), ("away", 3.1),
     ("away", 3.7)),
)  # fmt: skip
"""Rows of tiles: which phase, how many seconds after its beginning; with an end the widest mouth until then."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A picture that left: its time in s since the phase began, and the status at that time."""

    phase: str
    at_s: float
    said: str
    image: Image


class FilmedCall(LocalCall):
    """A call that keeps all that leaves."""

    phase, began_ms = "", 0.0

    def _send(self, picture: Picture) -> None:
        super()._send(picture)
        status = self.status()
        at_s = (self._clock.now_ms() - self.began_ms) / 1000.0
        shot = Shot(self.phase, at_s, f"{status.mode.value} {status.state}", picture.image)
        self.__dict__.setdefault("shots", []).append(shot)


async def film(photo: Path, dub: Path, phases: Sequence[tuple[str, Mode, bool, float]] = PHASES) -> list[Shot]:
    """Run the call through `phases` and return what left."""
    async with running(FilmedCall, None, 25.0, photo=photo, dub=dub) as (call, camera, synth):
        for call.phase, mode, present, seconds in phases:
            camera.gone, call.began_ms = not present, MonotonicClock().now_ms()
            refused = call.choose(mode) if mode is not call.path.mode else None
            assert refused is None, refused
            await asyncio.sleep(seconds)
    assert not synth.errors, synth.last_error
    shots: list[Shot] = call.__dict__["shots"]
    return shots


def shifted(path: Path) -> None:
    """Write the caller's speech, begun elsewhere, as a WAV file."""
    sound = np.roll(read_audio(CALLER, AUDIO_RATE), -round(_SHIFT_S * AUDIO_RATE))
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(AUDIO_RATE)
        out.writeframes((np.clip(sound, -1.0, 1.0) * 32767).astype("<i2").tobytes())


def cam(out: Path, picture: Path | None) -> None:
    """Write the strip of a local call; without `picture` the photo is a drawing."""
    with tempfile.TemporaryDirectory() as folder:
        photo = picture or Path(folder) / "drawing.png"
        if picture is None:
            cv2.imwrite(str(photo), drawn_face())
        shifted(Path(folder) / "other.wav")
        shots = asyncio.run(film(photo, Path(folder) / "other.wav"))
    rows: list[Image] = []
    with FaceMesh(static=True) as mesh:
        for row in ROWS:
            chosen = [_shot(shots, *pick, mesh=mesh) for pick in row]
            rows.append(np.hstack([labelled(s.image, _words(s)) for s in chosen]))
            rows.append(np.hstack([_mouth(s.image, mesh) for s in chosen]))
    cv2.imwrite(str(out), np.vstack(rows))


def _shot(shots: Sequence[Shot], phase: str, since_s: float, until_s: float = 0.0, *, mesh: FaceMesh) -> Shot:
    """Return the first shot of a phase from `since_s` on, or that with the widest mouth until `until_s`."""
    here = [shot for shot in shots if shot.phase == phase and shot.at_s >= since_s]
    if not until_s:
        return here[0]
    faces = [(shot, mesh.find(shot.image)) for shot in here if shot.at_s <= until_s]
    return max(faces, key=lambda found: 0.0 if found[1] is None else mouth_opening(found[1]))[0]


def _words(shot: Shot) -> str:
    camera = next((f", camera {word}" for word in ("gone", "back") if shot.phase.endswith(word)), "")
    return f"{shot.said}{camera} {shot.at_s:.2f} s"


def _mouth(image: Image, mesh: FaceMesh) -> Image:
    face = mesh.find(image)
    if face is None:
        return np.full((150, 240, 3), 48, np.uint8)
    return close_up(image, face, False)
