"""A walk over past frames that begins at the last real one and never turns where a viewer would see it. Pure."""

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.landmarks import STABLE
from realtime.face.pastframe import PastFrame

_LEG: Final = 25  # frames between two turns, at least, where there is room
_RAMP: Final = 6.0  # frames over which the walk slows down to a turn
_SLOWEST: Final = 0.25
_DWELL: Final = (2, 6)  # frames that the head rests at a turn


class PoseSource(Protocol):
    """A source of the frames whose head is shown at each moment."""

    def step(self, media_ms: float) -> PastFrame:
        """Return the frame for `media_ms`, which rises from call to call."""


@runtime_checkable
class ReferenceSource(PoseSource, Protocol):
    """A pose source that knows more of the mouth than its first frame shows."""

    def references(self, count: int) -> list[PastFrame]:
        """Return up to `count` frames with different mouth openings, the most closed first."""


class PosePath:
    """A walk back and forth over one unbroken stretch of past frames. Neighbouring steps are neighbouring frames.

    The walk slows down before a turn, rests, and picks up again; it turns where the head is still, the eyes are open
    and the picture is sharp, on varying places, so that no loop is seen.
    """

    def __init__(
        self,
        stretch: Sequence[PastFrame],
        costs: NDArray[np.float64],
        blinks: NDArray[np.bool_],
        interval_ms: float,
        seed: int = 0,
        begin: int | None = None,
    ) -> None:
        """Start at frame `begin` of `stretch`, its last one by default.

        Args:
            stretch: the frames, oldest first, at least one.
            costs: (n,) cost of each frame as a pose; 0 is best.
            blinks: (n,) whether the eyes are closed.
            interval_ms: usual time between two frames.
            seed: varies the turning points.
            begin: index of the first frame to show.
        """
        length = len(stretch)
        if length < 1:
            raise ValueError("a pose path needs at least one frame")
        self._stretch, self._interval = stretch, max(interval_ms, 1.0)
        self._costs, self._blinks = costs, blinks
        self._random = np.random.default_rng(seed)
        self._goal = length - 1 if begin is None else begin
        self._place = self._from = float(self._goal)
        self._rest = 1
        self._last_ms: float | None = None
        self._turns = self._turn_costs()
        # Frames that were blurred right before the outage are left once and not entered again.
        good = np.flatnonzero(costs <= np.median(costs) + 0.5)
        self._end = max(int(good[-1]), 1)

    def __len__(self) -> int:
        return len(self._stretch)

    def step(self, media_ms: float) -> PastFrame:
        """Return the frame for `media_ms`; the first call gives the last real frame."""
        if self._last_ms is not None:
            self._advance(max(0.0, media_ms - self._last_ms))
        self._last_ms = media_ms
        return self._stretch[self._index()]

    def _index(self) -> int:
        # Not round(): it rounds halves to even, so that one step could skip a frame.
        return int(np.floor(self._place + 0.5))

    def _turn_costs(self) -> NDArray[np.float64]:
        """Return per frame how visible a turn there would be."""
        count = len(self._stretch)
        if count < 2:
            return np.zeros(count)
        points = np.stack([frame.landmarks[list(STABLE)] for frame in self._stretch])
        moved = np.linalg.norm(np.diff(points, axis=0), axis=2).mean(1)
        around = np.convolve(np.concatenate([moved[:1], moved, moved[-1:]]), np.ones(4) / 4.0, mode="same")[:count]
        near_blink = np.convolve(self._blinks, np.ones(5), mode="same")[:count] > 0
        still = around / max(float(np.median(moved)), 1e-6)
        return np.asarray(still + 4.0 * near_blink + 2.0 * self._costs, dtype=np.float64)

    def _advance(self, elapsed_ms: float) -> None:
        if len(self._stretch) == 1:
            return
        if self._place == self._goal:
            if self._rest > 0:
                self._rest -= 1
                return
            self._aim()
        # One frame at most for one call, whatever time went by: a late frame is better than a jump.
        stride = min(1.0, elapsed_ms / self._interval) * self._speed()
        remaining = self._goal - self._place
        if abs(remaining) <= stride:
            self._place = float(self._goal)
            self._rest = int(self._random.integers(*_DWELL))
        else:
            self._place += float(np.copysign(stride, remaining))

    def _speed(self) -> float:
        if self._blinks[self._index()]:
            return 1.0  # closed eyes must not linger
        way = min(abs(self._place - self._from), abs(self._goal - self._place))
        return float(np.clip((way + 1.0) / _RAMP, _SLOWEST, 1.0))

    def _aim(self) -> None:
        here = self._goal
        before, after = np.arange(0, here), np.arange(here + 1, self._end + 1)
        backward = self._goal <= self._from if self._from != here else False
        first, second = (after, before) if backward else (before, after)
        side = first if len(first) >= min(_LEG, len(self._stretch) - 1) or len(first) >= len(second) else second
        far = side[np.abs(side - here) >= _LEG]
        if not far.size:
            # No room for a full leg: go as far as there is.
            far = side[[int(np.argmax(np.abs(side - here)))]]
        total = np.cumsum(np.concatenate([[0.0], self._costs]))
        leg = np.abs(total[far + 1] - total[here]) / np.maximum(np.abs(far - here), 1)
        best = far[np.argsort(self._turns[far] + 2.0 * leg, kind="stable")[:4]]
        self._from, self._goal = float(here), int(self._random.choice(best))
