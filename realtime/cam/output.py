"""What leaves a local call, and the status that its person sees. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime.cam.modes import Mode
from realtime.devices.api import Pixels
from realtime.media import FrameKind
from realtime.picture.stats import ShownState


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture that leaves.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        i420: the camera's own (H * 3 // 2, W) uint8 where nothing was changed, else None.
        kind: where it comes from.
        arrived_ms: when it came from the camera; None for a made one.
        skew_ms: time that it depicts minus that of the sound that leaves with it.
    """

    image: NDArray[np.uint8]
    i420: Pixels | None
    kind: FrameKind
    arrived_ms: float | None
    skew_ms: float


@dataclass(frozen=True, slots=True)
class CamStatus:
    """What is shown at this moment; times in ms.

    Attributes:
        mode: as chosen.
        state: real, synth, returning, still (the picture stands) or waiting (none was seen yet).
        since_ms: how long that has lasted.
        fps: pictures that left in the last 2 s, per second.
        latency_ms: 95 % of the real pictures left within so long after they came.
        skew_ms: 95 % of all pictures were within so much of their sound; of what leaves here.
        behind_ms: how much later than their sound made lips are seen by who hears the microphone itself; else 0.
        sound_ms: how long ago the sound that leaves now was spoken.
        heard: whether any sound comes in.
        why: why the picture stands, or no lips are made or could be, as the stage says it; None while all is well.
    """

    mode: Mode
    state: ShownState
    since_ms: float
    fps: float
    latency_ms: float
    skew_ms: float
    behind_ms: float
    sound_ms: float
    heard: bool
    why: str | None = None
