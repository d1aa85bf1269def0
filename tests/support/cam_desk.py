"""A running `lipline cam` without any device: what is switched, and whose faces are seen."""

import asyncio
from collections.abc import Callable
from typing import Literal

from client.cam.switch import CamSwitch
from client.cam.switch import Faces as FaceChooser
from realtime.cam.modes import Mode
from realtime.cam.output import CamStatus
from realtime.face.people import FaceMark
from realtime.picture.stats import ShownState


class Call:
    def __init__(self) -> None:
        self.mode, self.state = Mode.THROUGH, ShownState.REAL
        self.since_ms, self.fps = 1234.0, 25.0
        self.chosen: list[Mode] = []

    def refusal(self, mode: Mode) -> str | None:
        return "there is no photo: start with --photo FILE" if mode is Mode.PHOTO else None

    def choose(self, mode: Mode) -> str | None:
        if self.refusal(mode) is None:
            self.mode = mode
            self.chosen.append(mode)
        return self.refusal(mode)

    def status(self) -> CamStatus:
        return CamStatus(self.mode, self.state, self.since_ms, self.fps, 1.0, 2.0, 0.0, 3.0, True)


class Faces:
    marks: tuple[FaceMark, ...] = (
        FaceMark(1, (0.0, 0.0, 100.0, 100.0), True),
        FaceMark(3, (200.0, 50.0, 300.0, 150.0), False),
    )

    def __init__(self) -> None:
        self.asked: list[tuple[float, float] | Literal["next"]] = []

    def choose(self, x: float, y: float) -> None:
        self.asked.append((x, y))

    def follow_next(self) -> None:
        self.asked.append("next")


class Desk:
    def __init__(self, faces: FaceChooser | None = None, size: tuple[int, int] = (640, 480)) -> None:
        self.call, self.faces, self.ended = Call(), Faces(), asyncio.Event()
        self.said: list[str] = []
        self.switch = CamSwitch(self.call, faces or self.faces, size, self.ended, self.said.append)


async def until(true: Callable[[], object]) -> None:
    """Wait until something is true, for at most 90 s."""
    async with asyncio.timeout(90.0):
        while not true():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
