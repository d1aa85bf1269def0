"""Speech on its way out: concealment, mel for the lips, and the line that delays it.

Everything is on one axis, media time: the ms of sound decoded or made up since the call began. What the viewer hears
and what the mel is computed from is the same sound. It leaves on the output clock, 20 ms every 20 ms, which media time
follows, a little faster or slower while the delay changes.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.alignment import COLUMN_MS
from models.hearing import Columns, Hearing
from models.melstream import StreamingMel
from realtime.media import AUDIO_RATE, BLOCK_MS, BLOCK_SAMPLES, AudioBlock
from realtime.speech.conceal import Block, Concealer
from realtime.speech.heard import HeardHistory
from realtime.speech.resample import HALF_TAPS, Decimator
from realtime.speech.speechline import SpeechLine
from realtime.speech.voice import MouthGate

_OPEN_DBFS: Final = -46.0
"""Level (RMS) above which a block is speech, in dB relative to full scale."""
_CLOSE_DBFS: Final = -52.0
"""Level above which speech goes on, in dB relative to full scale."""
_HANGOVER_MS: Final = 160.0
"""Time in ms for which speech lasts after its last loud block."""
_UNHEARD_BLOCKS: Final = 25
"""Blocks of 20 ms that are heard at once while nobody asks for a window: a network hears many frames for the price of
a few, and must not fall so far behind that the first frame of an outage waits for it."""
_CONCEALED_LIMIT_MS: Final = 120.0
"""Concealment in a row in ms after which the lips rest: nothing is invented."""


def hold_for(hearing: Hearing, frame_interval_ms: float) -> float:
    """Return the delay in ms, a multiple of 20, that synthesis with `hearing` needs behind the newest sound.

    A frame is asked for one interval before it leaves, so that rendering has that long; by then the sound up to its
    lookahead must be here, the column that is not yet complete and the resampler's delay included.
    """
    needed = hearing.lookahead_ms + frame_interval_ms + COLUMN_MS + HALF_TAPS / AUDIO_RATE * 1000.0
    return ceil(needed / BLOCK_MS) * BLOCK_MS


@dataclass(frozen=True, slots=True)
class _SpeechMark:
    speech: bool
    concealed_ms: float
    source_ms: float | None


class SpeechPath:
    """Carry one caller's speech from the decoder to the viewers, and its mel to the lips. Not thread-safe.

    Attributes:
        level_db: RMS level of the newest block, dB relative to full scale.
        line: what is decoded and not yet played; its length is the delay.
        history: the newest columns that the lips hear of what was pushed.
    """

    MARKS = 200

    def __init__(
        self,
        hearing: Hearing,
        *,
        start_ms: float = 0.0,
        gate: MouthGate | None = None,
        on_heard: Callable[[float, float | None], None] | None = None,
    ) -> None:
        """Begin at media time and output time `start_ms`.

        Args:
            hearing: how the generator hears.
            start_ms: media time and output time of the first sample.
            gate: says when lips move; without one the level does.
            on_heard: called with media time and the caller's time, both in ms, of every 20 ms pushed; the latter is
                None while they are concealed or it is unknown.
        """
        self.level_db = -120.0
        self.line = SpeechLine(start_ms)
        self._out_ms = start_ms
        self._hearing = hearing
        self._gate, self._start_ms = gate, start_ms
        self._on_heard = on_heard
        self._concealer = Concealer()
        self._decimator = Decimator()
        self._mel = StreamingMel()
        self._columns = hearing.stream()
        self._unheard: list[NDArray[np.float32]] = []
        self.history = HeardHistory(hearing, start_ms)
        self._marks: deque[_SpeechMark] = deque(maxlen=self.MARKS)
        self._source_end: float | None = None
        self._quiet_ms = float("inf")
        self._concealed_ms = 0.0

    @property
    def head_ms(self) -> float:
        """Media time of the end of the newest block pushed, in ms."""
        return self.line.head_ms

    def push(
        self, samples: Block | None, source_ms: float | None = None, *, invented: bool = False, cut: bool = False
    ) -> None:
        """Add the next 20 ms: (960,) int16 at 48 kHz, or None to conceal; `source_ms` is the caller's time of it.

        `invented` samples are the decoder's own concealment: heard, but counted as concealed. `cut` says that the
        samples do not go on where those before ended.

        Raises:
            ValueError: `samples` is not (960,) int16.
        """
        if samples is not None and (samples.shape != (BLOCK_SAMPLES,) or samples.dtype != np.int16):
            raise ValueError(f"a block is ({BLOCK_SAMPLES},) int16; got {samples.shape} {samples.dtype}")
        media_ms = self.head_ms
        concealed = samples is None or invented
        block = self._concealer.push(samples, cut=self._is_cut(samples, source_ms) or cut)
        source_ms = None if concealed else source_ms
        self._mark(block, source_ms, concealed=concealed)
        heard = self._decimator.push(block)
        self._unheard.append(heard)
        if len(self._unheard) >= _UNHEARD_BLOCKS:
            self._hear()
        if self._gate is not None:
            self._gate.push(heard, self._mel.push(heard))
        self.line.append(block)
        if self._on_heard is not None:
            self._on_heard(media_ms, source_ms)

    def pull(self, rate: float = 0.0) -> AudioBlock:
        """Return the 20 ms that leave now, read `rate` faster than they came; ask `line.ready` before.

        Raises:
            ValueError: the line is too short.
        """
        media_ms = self.line.media_ms
        samples = self.line.take(rate)
        back = ceil((self.head_ms - media_ms) / BLOCK_MS - 0.5)
        mark = self._marks[-min(max(back, 1), len(self._marks))]
        source_ms = None
        if mark.source_ms is not None:
            source_ms = mark.source_ms + media_ms - (self.head_ms - max(back, 1) * BLOCK_MS)
        block = AudioBlock(samples, media_ms, mark.concealed_ms > 0.0, source_ms, self._out_ms)
        self._out_ms += BLOCK_MS
        return block

    def skip(self, ms: float) -> None:
        """Advance the output clock by `ms` in which nothing left, and drop as much of the waiting sound."""
        self._out_ms += ms
        self.line.drop(ms)

    def window(self, media_ms: float) -> Columns | None:
        """Return the generator's window (rows, columns) for a frame at `media_ms`.

        While the delay still grows to what the model needs, the last column heard stands for those to come; None while
        that one lies too far back. Where a gate opens the mouth only in part, the window is that far from silence.
        """
        self._hear()
        window = self.history.window_so_far(media_ms)
        opening = 1.0 if self._gate is None else self._gate.opening(media_ms - self._start_ms)
        return window if window is None or opening >= 1.0 else _towards(self._hearing.silence, window, opening)

    def complete(self, media_ms: float) -> bool:
        """Return whether all the sound of the window for `media_ms` is here."""
        self._hear()
        return self.history.ready(media_ms)

    def heard(self, media_ms: float) -> bool:
        """Return whether all the sound of the window for `media_ms` was heard already, so that it costs nothing."""
        return self.history.ready(media_ms)

    def own_window(self, media_ms: float) -> Columns | None:
        """Return the window (rows, columns) for `media_ms`, all of which was heard, to learn the caller's mouth from.

        None where the caller does not speak, where the gate does not open the mouth all the way, and where any of it
        was concealed.
        """
        return self.history.window(media_ms) if self.heard(media_ms) and self._is_own(media_ms) else None

    def speech(self, media_ms: float) -> bool:
        """Return whether lips may move at `media_ms`: someone speaks and it is not invented.

        After the newest block it is as at its end.
        """
        back = ceil((self.head_ms - media_ms) / BLOCK_MS - 1e-9)
        if not self._marks or back > len(self._marks):
            return False
        mark = self._marks[-max(back, 1)]
        speech = mark.speech if self._gate is None else self._gate.opening(media_ms - self._start_ms) > 0.0
        return speech and mark.concealed_ms <= _CONCEALED_LIMIT_MS

    def _is_own(self, media_ms: float) -> bool:
        opening = 1.0 if self._gate is None else self._gate.opening(media_ms - self._start_ms)
        end_ms = media_ms + self._hearing.lookahead_ms
        begin_ms = end_ms - self._hearing.columns * self._hearing.step_ms
        newest = max(ceil((self.head_ms - end_ms) / BLOCK_MS - 1e-9), 1)
        oldest = ceil((self.head_ms - begin_ms) / BLOCK_MS - 1e-9)
        if opening < 1.0 or oldest > len(self._marks) or not self.speech(media_ms):
            return False
        return all(self._marks[-back].concealed_ms == 0.0 for back in range(newest, oldest + 1))

    def _hear(self) -> None:
        """Bring the history up to the newest block."""
        if self._unheard:
            self.history.extend(self._columns.push(np.concatenate(self._unheard)))
            self._unheard.clear()

    def _is_cut(self, samples: Block | None, source_ms: float | None) -> bool:
        before, self._source_end = self._source_end, None
        if samples is None or source_ms is None:
            return False
        self._source_end = source_ms + BLOCK_MS
        return before is not None and abs(source_ms - before) > BLOCK_MS / 2

    def _mark(self, block: Block, source_ms: float | None, *, concealed: bool) -> None:
        self._concealed_ms = self._concealed_ms + BLOCK_MS if concealed else 0.0
        power = float(np.mean(np.square(block.astype(np.float32) / 32768.0)))
        level = self.level_db = float(10.0 * np.log10(power + 1e-12))
        limit = _CLOSE_DBFS if self._quiet_ms < _HANGOVER_MS else _OPEN_DBFS
        self._quiet_ms = 0.0 if level > limit else self._quiet_ms + BLOCK_MS
        self._marks.append(_SpeechMark(self._quiet_ms < _HANGOVER_MS, self._concealed_ms, source_ms))


def _towards(silence: Columns, window: Columns, opening: float) -> Columns:
    return np.asarray(silence + np.float32(opening) * (window - silence), np.float32)
