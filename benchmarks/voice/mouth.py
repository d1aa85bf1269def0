"""What the generated lips do with a mix: `python -m benchmarks.voice --mouth`.

The way of a call: SpeechPath with its gate, the generator's window, FaceSynth's closing, the shipped generator; 25
frames a second, asked for as far behind the newest sound as a call does. Lips are the generator's own landmarks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from benchmarks.voice.mix import STEP, Talk
from benchmarks.voice.sounds import RATE, Sound
from models.catalog import open_generator
from models.landmarks import mouth_opening
from models.near.onnx import NearVoice
from models.vad import VoiceDetector
from realtime.face.pastframe import PastFrame
from realtime.face.synth import FaceSynth
from realtime.face.tracker import MediaPipeTracker
from realtime.media import AUDIO_RATE, BLOCK_MS, BLOCK_SAMPLES
from realtime.media_file import read_video
from realtime.picture.synth_api import Drawn
from realtime.speech.audio import SpeechPath, hold_for
from realtime.speech.voice import VoiceGate

FRAME_MS = 40.0
_LOOKED_AT = 75  # frames of the film that pose and references are chosen from
_SETTLE = 12  # frames without speech that show where this mouth rests


@dataclass(frozen=True, slots=True)
class Still:
    """A head that is held still (a `ReferenceSource`): what moves is the mouth alone."""

    frames: Sequence[PastFrame]  # the most closed first

    def step(self, media_ms: float) -> PastFrame:
        """Return the same frame always."""
        return self.frames[0]

    def references(self, count: int) -> list[PastFrame]:
        """Return `count` frames from closed to open."""
        at = np.linspace(0, len(self.frames) - 1, count).round().astype(int)
        return [self.frames[index] for index in at]


class MixedMouth:
    """A face that speaks mixes."""

    def __init__(self, film: Path) -> None:
        """Read the face from the first seconds of `film`."""
        self._generator, self._tracker = open_generator("lite", threads=1), MediaPipeTracker()
        found = []
        for frame in islice(read_video(film, 25.0), _LOOKED_AT):
            face = self._tracker.track(frame.image, frame.media_ms)
            if face is not None:
                found.append(PastFrame(frame.image, face.landmarks, frame.media_ms, face.opening))
        self._still = Still(sorted(found, key=lambda one: one.opening))

    def openings(self, samples: Sound) -> NDArray[np.float64]:
        """Return how far the lips are open beyond rest, eye distances, per frame of `samples` (n,) at 16 kHz."""
        synth = FaceSynth(self._generator, self._tracker)
        synth.start(0.0, self._still)
        rest = 0.0
        for index in range(_SETTLE):
            rest = _opening(synth.render(None, index * FRAME_MS, speech=False))
        path = SpeechPath(self._generator.hearing, gate=VoiceGate(VoiceDetector(), NearVoice()))
        wide = np.clip(soxr.resample(samples, RATE, AUDIO_RATE) * 32767.0, -32768, 32767).astype(np.int16)
        behind, out = hold_for(self._generator.hearing, FRAME_MS) - FRAME_MS, list[float]()
        for index in range(len(wide) // BLOCK_SAMPLES):
            path.push(wide[index * BLOCK_SAMPLES : (index + 1) * BLOCK_SAMPLES])
            at = len(out) * FRAME_MS
            if at <= (index + 1) * BLOCK_MS - behind:
                drawn = synth.render(path.window(at), at + _SETTLE * FRAME_MS, speech=path.speech(at))
                out.append(max(_opening(drawn) - rest, 0.0))
        return np.array(out)

    def close(self) -> None:
        """Free the tracker."""
        self._tracker.close()


def _opening(drawn: Drawn) -> float:
    assert drawn.points is not None
    return mouth_opening(drawn.points)


def energies(talk: Talk, lips: NDArray[np.float64], lead_s: float) -> tuple[float, float]:
    """Return the mean squares of openings in pauses after `lead_s` seconds, and in speech."""
    looks = np.minimum((np.arange(len(lips)) * FRAME_MS * RATE / 1000.0 / STEP).astype(int), len(talk.speech) - 1)
    free = talk.free
    free[: round(lead_s * RATE / STEP)] = False
    squares = lips**2
    return float(squares[free[looks]].mean()), float(squares[talk.speech[looks]].mean())
