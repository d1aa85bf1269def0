"""What a person can do with a running `lipline cam`: keys, clicks and requests from a room all come here."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from realtime.cam.modes import Mode
from realtime.cam.output import CamStatus
from realtime.face.people import FaceMark
from signaling.messages import CameraFace, CameraMode, CameraState, Wish

KEYS: Final = {"t": Mode.THROUGH, "p": Mode.PHOTO, "d": Mode.DUB, "a": Mode.AWAY}
_WISHES: Final = 8
_WISHES_PER_S: Final = 4.0
_FACES_SHOWN: Final = frozenset({Mode.THROUGH, Mode.DUB})
"""Modes that show the camera, whose faces can be told apart."""


class Switched(Protocol):
    """The call that is switched; `realtime.cam.call.LocalCall` is one."""

    def choose(self, mode: Mode) -> str | None:
        """Switch to `mode`; return None, or one line that says why it cannot be."""

    def refusal(self, mode: Mode) -> str | None:
        """Return why `mode` cannot be chosen now."""

    def status(self) -> CamStatus:
        """Return what is shown at this moment."""


class Faces(Protocol):
    """The choice among faces; `realtime.face.tracker.MediaPipeTracker` is one."""

    marks: tuple[FaceMark, ...]

    def choose(self, x: float, y: float) -> None:
        """Follow the face at the point, px."""

    def follow_next(self) -> None:
        """Follow the next face."""


class CamSwitch:
    """Carry out requests, and say through `say` what cannot be done. One event loop; q sets `ended`."""

    def __init__(
        self,
        call: Switched,
        faces: Faces,
        size: tuple[int, int],
        ended: asyncio.Event,
        say: Callable[[str], None],
    ) -> None:
        self._call, self._faces, self._size, self._ended, self._say = call, faces, size, ended, say
        self._allowance, self._refilled_s = float(_WISHES), float("-inf")
        self._detail = ""

    def press(self, key: str) -> None:
        """Do what a key stands for: a mode, f, the number of a face, q; nothing for any other."""
        if key == "q":
            self._ended.set()
        elif key == "f":
            self._faces.follow_next()
        elif key in KEYS:
            self.choose(KEYS[key])
        elif key.isdecimal():
            for mark in self.marks:
                if str(mark.number) == key:
                    x0, y0, x1, y1 = mark.box
                    self._faces.choose((x0 + x1) / 2.0, (y0 + y1) / 2.0)

    def click(self, x: float, y: float) -> None:
        """Follow the face at a place in the picture, each a share of its width and height, 0 to 1."""
        if self.marks:
            self._faces.choose(x * self._size[0], y * self._size[1])

    def choose(self, mode: Mode) -> None:
        """Switch to `mode`, or say why it cannot be."""
        self._detail = self._call.choose(mode) or ""
        if self._detail:
            self._say(self._detail)

    def wish(self, wish: Wish, now_s: float) -> None:
        """Carry out a request from the room, at most 4 a second and 8 in a row; `now_s` is of any one clock."""
        self._allowance = min(float(_WISHES), self._allowance + (now_s - self._refilled_s) * _WISHES_PER_S)
        self._refilled_s = now_s
        if self._allowance < 1.0:
            self._detail = "too many wishes at once: some were left out"
            return
        self._allowance -= 1.0
        match wish:
            case CameraMode():
                self.choose(Mode(wish.mode))
            case CameraFace():
                self._faces.follow_next()

    @property
    def marks(self) -> tuple[FaceMark, ...]:
        """The faces that can be chosen in what is shown now, px of the picture."""
        status = self._call.status()
        seen = status.mode in _FACES_SHOWN and (status.mode is Mode.DUB or status.state in ("real", "returning"))
        return self._faces.marks if seen else ()

    @property
    def followed(self) -> int:
        """Which of the faces is followed, counted from the left of the picture; 0 for none of them."""
        row = sorted(self.marks, key=lambda mark: mark.box[0] + mark.box[2])
        return next((place for place, mark in enumerate(row, 1) if mark.followed), 0)

    def state(self) -> CameraState:
        """Return the state that is reported to a room."""
        status = self._call.status()
        modes = tuple(mode.value for mode in Mode if self._call.refusal(mode) is None)
        return CameraState(
            status.mode.value, modes, status.state, max(0.0, status.since_ms), max(0.0, min(status.fps, 1000.0)),
            float(len(self.marks)), float(self.followed), self._detail[:256],
        )  # fmt: skip
