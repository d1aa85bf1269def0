"""What leaves a local call, and the status that its person sees. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime.cam.modes import Mode
from realtime.devices.api import Pixels
from realtime.media import FrameKind
from realtime.picture.stats import ShownState
from realtime.picture.synth_api import Learned


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture that leaves.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        i420: the camera's own (H * 3 // 2, W) uint8 where nothing was changed, else None.
        kind: whether it is real, synthetic or repeated.
        arrived_ms: time at which it came from the camera; None for a synthetic one.
        skew_ms: time that it depicts minus that of the sound that leaves with it, in ms.
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
        mode: the chosen mode.
        state: real, synth, returning, still (the picture stands) or waiting (no picture yet).
        since_ms: duration of that state so far.
        fps: pictures that left in the last 2 s, per second.
        latency_ms: 95 % quantile of the time between a real picture's arrival and its leaving.
        skew_ms: 95 % quantile of the distance between pictures and their sound, both as they leave here.
        behind_ms: delay of synthetic lips for those who hear the microphone itself; 0 for those who hear our sound.
        sound_ms: age of the sound that leaves now.
        heard: whether any sound comes in.
        why: why the picture stands still, or why no lips are or could be made; None otherwise.
        learned: what the generator has learned of the person.
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
    learned: Learned = Learned()
