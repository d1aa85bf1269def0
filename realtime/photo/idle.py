"""How somebody sits before a camera who does nothing: small sway, breath, blinks, nods with the voice. Pure.

Amplitudes are those of talkers who sit still. Eleven clips of 2 to 3 s (eight GRID speakers, CREMA-D actor 1001),
tracked with FaceMesh, unit the distance of the outer eye corners: standard deviation of the head's place 0.004 to 0.034
across and 0.006 to 0.038 down, roll 0.15 to 0.44 degrees, turn 0.4 to 1.7 degrees; speed at the median 0.01 to 0.06 per
second, at the 99th percentile 0.03 to 0.27. The bundled caller moves more: 0.058 across, roll 1.0 degrees in 8 s.

Blinks: 17 a minute at rest and 26 in conversation, intervals log-normal (A. R. Bentivoglio et al., Movement Disorders
12(6), 1997).
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

_PERIODS_S: Final = (2.6, 4.7, 8.5, 15.5)  # of the waves that a motion is made of
_SHARES: Final = (0.14, 0.24, 0.30, 0.32)  # of its amplitude: slow motion is large, fast motion small
_CHANNELS: Final = 6
_X, _Y, _SCALE, _ROLL, _YAW, _PITCH = range(_CHANNELS)
# Greatest travel: eye distances, share of the size, degrees.
_TRAVEL: Final = (0.065, 0.04, 0.012, 1.4, 4.5, 2.4)
_CALM: Final = 0.7  # of the travel while nobody speaks
_NOD_DEGREES: Final = 2.0
_EASE_MS: Final = 1500.0  # over which motion begins, so that the first frame is the picture as it is
_MAX_STEP_MS: Final = 200.0  # a longer pause between two frames counts as this much for what follows the voice

_BLINK_MEDIAN_S: Final = 3.3
_BLINK_SPREAD: Final = 0.42  # standard deviation of the interval's logarithm
_BLINK_LIMITS_S: Final = (2.0, 6.0)
_DOUBLE: Final = 0.12  # of blinks that are followed by a second one at once
_CLOSE_MS: Final = (65.0, 95.0)
_SHUT_MS: Final = (42.0, 60.0)  # longer than a frame at 25 fps, so that one frame shows closed eyes
_OPEN_MS: Final = (95.0, 140.0)


@dataclass(frozen=True, slots=True)
class IdlePose:
    """Offset of the head from where the picture has it.

    Attributes:
        x, y: in eye distances, right and down.
        scale: ratio, about 1.
        roll: degrees, clockwise.
        yaw: degrees, positive to the image's right.
        pitch: degrees, positive nods down.
        breath: -1 (out) .. 1 (in).
        lids: 0 (as in the picture) .. 1 (shut).
    """

    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    roll: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    breath: float = 0.0
    lids: float = 0.0


@dataclass(frozen=True, slots=True)
class Blink:
    """A blink: when it begins, and how long the lids take to close, stay shut and open again, ms."""

    begin_ms: float
    close_ms: float
    shut_ms: float
    open_ms: float

    @property
    def end_ms(self) -> float:
        """Media time at which the eyes are open again, in ms."""
        return self.begin_ms + self.close_ms + self.shut_ms + self.open_ms

    def lids(self, media_ms: float) -> float:
        """Return how far the lids are down at `media_ms`, 0..1."""
        since = media_ms - self.begin_ms
        if since < self.close_ms:
            return _smooth(since / self.close_ms)
        return 1.0 - _smooth((since - self.close_ms - self.shut_ms) / self.open_ms)


class IdleMotion:
    """A source of poses for rising media times. The same seed, times and loudness give the same poses."""

    def __init__(self, seed: int = 0) -> None:
        """Draw the motion."""
        rng = np.random.default_rng((seed, 0x1D1E))
        self._rates = 2.0 * np.pi / (np.array(_PERIODS_S) * rng.uniform(0.85, 1.18, (_CHANNELS, len(_PERIODS_S))))
        self._phases = rng.uniform(0.0, 2.0 * np.pi, self._rates.shape)
        self._breath_phase = float(rng.uniform(0.0, 2.0 * np.pi))
        self._rng = rng
        self._blinks: deque[Blink] = deque()
        self._start_ms: float | None = None
        self._last_ms = 0.0
        self._heard = self._voice = self._mood = 0.0

    def step(self, media_ms: float, loudness: float = 0.0) -> IdlePose:
        """Return the pose at `media_ms`; the first call starts the motion from the picture as it is.

        Args:
            media_ms: not before that of the last call; an earlier one is taken for it.
            loudness: of the speech, 0 (none) .. 1; nods and enlivens.
        """
        if self._start_ms is None:
            self._start_ms = self._last_ms = media_ms
        elapsed = max(0.0, media_ms - self._last_ms)
        self._last_ms = max(self._last_ms, media_ms)
        self._listen(float(np.clip(loudness, 0.0, 1.0)), min(elapsed, _MAX_STEP_MS))
        since_ms = self._last_ms - self._start_ms
        seconds = since_ms / 1000.0
        eased = _smooth(since_ms / _EASE_MS)
        lively = eased * (_CALM + (1.0 - _CALM) * min(1.0, self._mood * 1.5))
        sway = (np.sin(self._rates * seconds + self._phases) @ np.array(_SHARES)) * _TRAVEL * lively
        nod = eased * _NOD_DEGREES * (self._voice - self._mood)
        yaw, pitch = float(sway[_YAW]), float(sway[_PITCH]) + nod
        return IdlePose(
            # The head turns about the neck: its front goes where it looks.
            x=float(sway[_X]) + 0.005 * yaw,
            y=float(sway[_Y]) + 0.005 * pitch,
            scale=1.0 + float(sway[_SCALE]),
            roll=float(sway[_ROLL]),
            yaw=yaw,
            pitch=pitch,
            breath=eased * self._breath(seconds),
            lids=self._lids(since_ms),
        )

    def _listen(self, loudness: float, elapsed_ms: float) -> None:
        """Follow the loudness: `_voice` in two steps of 110 ms, so that it bends and never kinks, `_mood` slowly."""
        near, slow = float(np.exp(-elapsed_ms / 110.0)), float(np.exp(-elapsed_ms / 1400.0))
        before = self._heard
        self._heard = loudness + near * (self._heard - loudness)
        between = 0.5 * (before + self._heard)
        self._voice = between + near * (self._voice - between)
        self._mood = self._voice + slow * (self._mood - self._voice)

    def _breath(self, seconds: float) -> float:
        # About 15 breaths a minute, none quite as long as the last, in faster than out.
        angle = 2.0 * np.pi * seconds / 4.1 + 0.7 * np.sin(2.0 * np.pi * seconds / 19.0) + self._breath_phase
        return float(np.sin(angle + 0.3 * np.sin(angle)))

    def _lids(self, since_ms: float) -> float:
        while not self._blinks or self._blinks[-1].end_ms < since_ms:
            self._plan()
        while len(self._blinks) > 1 and self._blinks[0].end_ms < since_ms:
            self._blinks.popleft()
        return max(blink.lids(since_ms) for blink in self._blinks)

    def _plan(self) -> None:
        """Plan the next blink, and now and then a second one right after it."""
        last_ms = self._blinks[-1].end_ms if self._blinks else 0.0
        pause_s = np.clip(_BLINK_MEDIAN_S * np.exp(_BLINK_SPREAD * self._rng.standard_normal()), *_BLINK_LIMITS_S)
        self._blinks.append(self._blink(last_ms + 1000.0 * float(pause_s)))
        if self._rng.random() < _DOUBLE:
            self._blinks.append(self._blink(self._blinks[-1].end_ms + float(self._rng.uniform(60.0, 160.0))))

    def _blink(self, begin_ms: float) -> Blink:
        return Blink(begin_ms, *(float(self._rng.uniform(*limits)) for limits in (_CLOSE_MS, _SHUT_MS, _OPEN_MS)))


def _smooth(share: float) -> float:
    """Return 0 up to 0, 1 from 1, and a bend without a kink between."""
    share = min(max(share, 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)
