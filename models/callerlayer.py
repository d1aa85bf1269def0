"""The last layer of a generator's hearing for one caller, fitted while they are seen speaking. No torch here."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.generator import Generator, Landmarks
from models.hearing import Columns

Numbers = NDArray[np.float32]
"""Hidden numbers (..., n) or mouth coefficients (..., b), float32."""


@dataclass(frozen=True, slots=True, eq=False)
class CallerLayer:
    """A caller's own last layer, as what it changes in the general one's mouth.

    Attributes:
        scale: factor on the general coefficients.
        table: (n + 1, b) float32, weights of the hidden numbers, then the bias.
    """

    scale: float
    table: Numbers

    def __call__(self, hidden: Numbers, told: Numbers) -> Numbers:
        """Return the caller's coefficients (..., b) for hidden numbers (..., n) and the general ones (..., b)."""
        return np.asarray(np.float32(self.scale) * told + hidden @ self.table[:-1] + self.table[-1], np.float32)


@runtime_checkable
class TeachableGenerator(Generator, Protocol):
    """A generator whose mouth follows from hidden numbers by one linear layer, which may be the caller's own."""

    caller: CallerLayer | None
    """The caller's layer, used in place of the general one; None is the general one."""

    @property
    def opens(self) -> Numbers:
        """How far each coefficient opens the lips, (b,) in eye distances."""

    def hear(self, windows: Columns) -> tuple[Numbers, Numbers]:
        """Return the hidden numbers (k, n) and the general coefficients (k, b) of windows (k, rows, columns)."""

    def mouth(self, landmarks: Landmarks) -> Numbers:
        """Return the mouth of a face (468, 2) px as coefficients (b,), of which a closed mouth's are to be taken."""
