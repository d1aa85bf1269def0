"""What a rendered person does in one frame, and how a head moves that is at ease."""

from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True, slots=True)
class MouthShape:
    """Shape of a mouth; all values 0 make a mouth at rest, lips just touching.

    Attributes:
        opening: gap between the lips, 0 (closed) .. 1 (as wide as the renderer opens it).
        jaw: drop of the chin, 0..1, mostly near `opening`.
        spread: corners out, -1..1.
        rounding: corners in and lips forward, 0..1.
        press: lips rolled in and pressed together, 0..1 (p, b, m).
        tuck: lower lip under the upper teeth, 0..1 (f, v).
        lift: upper lip raised, 0..1.
        tongue: tip of the tongue raised towards the teeth, 0..1 (l, th, n).
        smile: corners up, -1..1.
    """

    opening: float = 0.0
    jaw: float = 0.0
    spread: float = 0.0
    rounding: float = 0.0
    press: float = 0.0
    tuck: float = 0.0
    lift: float = 0.0
    tongue: float = 0.0
    smile: float = 0.0


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Where the head is and what the eyes do.

    `x`, `y` are in face units, angles in degrees: `yaw` > 0 turns to the image's right, `pitch` > 0 nods down.

    `blink` is 0 (open) .. 1 (shut), `gaze_x`, `gaze_y` -1..1, `brow` -1..1 (up), `breath` -1..1, `scale` about 1.
    """

    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    blink: float = 0.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    brow: float = 0.0
    breath: float = 0.0


@dataclass(frozen=True, slots=True)
class MouthAndPose:
    """One frame's mouth and head; `grain` picks the camera noise of the frame."""

    mouth: MouthShape = field(default_factory=MouthShape)
    head: HeadPose = field(default_factory=HeadPose)
    grain: int = 0


class Motion:
    """Move a head as people do who talk to a camera: slow sway, nods, glances, blinks, breath.

    A pure function of time: `at` may be asked in any order and gives the same answer.
    """

    def __init__(self, seed: int, amount: float = 1.0) -> None:
        """Draw the motion; `amount` scales the head's travel (1 is a calm caller)."""
        rng = np.random.default_rng((seed, 0x3071))
        self._amount = amount
        self._periods = rng.uniform(2.2, 9.0, (6, 3))
        self._phases = rng.uniform(0, 2 * np.pi, (6, 3))
        self._blinks = np.cumsum(rng.gamma(4.0, 0.95, 2000)) * 1000.0
        self._glances = np.cumsum(rng.uniform(0.8, 3.0, 2000)) * 1000.0
        self._gaze = rng.normal(0.0, 1.0, (2001, 2)) * (0.22, 0.12)

    def _sway(self, channel: int, seconds: float) -> float:
        waves = np.sin(2 * np.pi * seconds / self._periods[channel] + self._phases[channel])
        return float(waves @ (0.55, 0.3, 0.15))

    def _blink(self, ms: float) -> float:
        since = ms - self._blinks[max(int(np.searchsorted(self._blinks, ms, side="right")) - 1, 0)]
        if not 0 <= since < 260:
            return 0.0
        # Lids close faster (about 90 ms) than they open.
        return float(
            np.sin(np.pi / 2 * min(since / 90.0, 1.0))
            if since < 110
            else 0.5 + 0.5 * np.cos(np.pi * (since - 110) / 150)
        )

    def _look(self, ms: float) -> tuple[float, float]:
        index = int(np.searchsorted(self._glances, ms, side="right"))
        start = self._glances[index - 1] if index else -1e9
        share = min((ms - start) / 60.0, 1.0)
        place = self._gaze[max(index - 1, 0)] * (1 - share) + self._gaze[index] * share
        return float(place[0]), float(place[1])

    def at(self, ms: float, energy: float = 0.0) -> HeadPose:
        """Return the pose at `ms`; `energy` 0..1 (stress of the speech) nods and lifts the brows a little."""
        seconds, size = ms / 1000.0, self._amount
        gaze_x, gaze_y = self._look(ms)
        yaw, pitch = 5.0 * size * self._sway(0, seconds), 3.0 * size * self._sway(1, seconds) + 1.2 * size * energy
        pose = HeadPose(
            x=0.07 * size * self._sway(2, seconds) + yaw * 0.006,
            y=0.04 * size * self._sway(3, seconds) + pitch * 0.006,
            scale=1.0 + 0.012 * size * self._sway(4, seconds),
            roll=2.6 * size * self._sway(5, seconds),
            yaw=yaw,
            pitch=pitch,
            breath=float(np.sin(2 * np.pi * seconds / 4.1)),
        )
        return replace(pose, blink=self._blink(ms), gaze_x=gaze_x, gaze_y=gaze_y, brow=0.5 * energy)
