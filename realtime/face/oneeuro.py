"""The one-euro filter: still when the signal is still, quick when it moves.

G. Casiez, N. Roussel, D. Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
Systems", CHI 2012.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SPEED_CUTOFF_HZ: Final = 1.0
"""Cut-off of the estimate of the speed."""


def _alpha(cutoff_hz: Array | float, dt_s: float) -> Array:
    """Return the weight of the newest sample of a first-order low-pass."""
    tau = 1.0 / (2.0 * np.pi * np.asarray(cutoff_hz, dtype=np.float64))
    weight: Array = 1.0 / (1.0 + tau / dt_s)
    return weight


class OneEuroFilter:
    """Smooth an array that is sampled at any times, each element by its own speed. Causal, one state per instance."""

    def __init__(self, min_cutoff_hz: Array | float, beta: Array | float) -> None:
        """Set the filter.

        Args:
            min_cutoff_hz: cut-off for a signal at rest, scalar or broadcast to the samples.
            beta: Hz of cut-off gained per unit of speed (units of the signal per s).
        """
        self._min_cutoff, self._beta = min_cutoff_hz, beta
        self._t_ms = 0.0
        self._value: Array | None = None
        self._speed: Array | None = None

    def reset(self) -> None:
        """Forget the past: the next sample passes unchanged."""
        self._value = self._speed = None

    def __call__(self, sample: NDArray[Any], t_ms: float) -> Array:
        """Return the smoothed value of `sample` taken at `t_ms`; 33 ms are assumed when time did not go on."""
        value = np.asarray(sample, dtype=np.float64)
        if self._value is None or self._speed is None:
            self._value, self._speed, self._t_ms = value, np.zeros_like(value), t_ms
            return value
        dt_s = (t_ms - self._t_ms) / 1000.0
        if dt_s <= 0.0:
            dt_s = 0.033
        speed = (value - self._value) / dt_s
        self._speed = self._speed + _alpha(_SPEED_CUTOFF_HZ, dt_s) * (speed - self._speed)
        cutoff = self._min_cutoff + self._beta * np.abs(self._speed)
        self._value = self._value + _alpha(cutoff, dt_s) * (value - self._value)
        self._t_ms = t_ms
        return self._value
