"""The mel of live speech: the columns of `models.mel`, as soon as their sound is there."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.mel import HOP, N_MELS, SILENCE, WIN, Mel, Samples, columns_of, preemphasize

_PAD: Final = WIN // 2


class StreamingMel:
    """Compute mel columns from chunks of any length.

    The columns of all pushes and the flush, joined, equal `melspectrogram` of the joined samples. Column i comes with
    the push that brings sample 200 i + 399, 25 ms after its centre (column 0 needs one sample more, for its
    reflection). At most 800 samples are kept between calls. Not thread-safe: one task or thread a stream.
    """

    def __init__(self) -> None:
        self._kept: NDArray[np.float64] = np.empty(0)
        self._begun = False
        self._previous = 0.0

    def push(self, samples: Samples) -> Mel:
        """Add the next samples and return the columns that they complete.

        Args:
            samples: (n,) mono at 16 kHz, -1..1; n may be 0.

        Returns:
            float32 (80, k); k may be 0.

        Raises:
            ValueError: when `samples` is not one-dimensional or holds NaN or infinity; the stream is then unchanged.
        """
        emphasized = preemphasize(samples, self._previous)
        if emphasized.size:
            self._previous = float(samples[-1])
            self._kept = np.concatenate((self._kept, emphasized))
        if not self._begun:
            if self._kept.size <= _PAD:
                return columns_of(np.empty(0))
            self._kept = np.pad(self._kept, (_PAD, 0), mode="reflect")
            self._begun = True
        columns = columns_of(self._kept)
        self._kept = self._kept[columns.shape[1] * HOP :].copy()
        return columns

    def flush(self) -> Mel:
        """End the stream and be ready for a new one.

        Returns:
            float32 (80, k): the columns that reach past the end, reflected there as `melspectrogram` does; one column
            of silence for an empty stream.
        """
        if not self._kept.size:
            return np.full((N_MELS, 1), SILENCE, dtype=np.float32)
        # Once begun, at least 600 samples are kept: the reflection of the end always finds its 401.
        front = 0 if self._begun else _PAD
        columns = columns_of(np.pad(self._kept, (front, _PAD), mode="reflect"))
        self._kept, self._begun, self._previous = np.empty(0), False, 0.0
        return columns
