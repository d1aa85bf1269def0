"""Speech on its way out: concealment, mel for the lips, and the hold line that gives the lips time.

Everything is on one axis, media time: the ms of sound played since the call began. Each block is the next 20 ms,
whatever the network did; what the viewer hears and what the mel is computed from is the same sound.
"""

from collections import deque
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from models.alignment import COLUMN_MS, MelWindow
from realtime.media import AUDIO_RATE, BLOCK_MS, BLOCK_SAMPLES, AudioBlock
from realtime.mel import StreamingMel
from realtime.mel_history import MelHistory
from realtime.resample import HALF_TAPS, Decimator

Block = NDArray[np.int16]


def hold_for(window: MelWindow, frame_interval_ms: float) -> float:
    """Return the hold in ms, a multiple of 20, that a model with `window` needs.

    A frame is asked for one interval before it leaves, so that rendering has that long; by then the sound up to its
    lookahead must be here, the mel column that is not yet complete and the resampler's delay included.
    """
    needed = window.lookahead_ms + frame_interval_ms + COLUMN_MS + HALF_TAPS / AUDIO_RATE * 1000.0
    return ceil(needed / BLOCK_MS) * BLOCK_MS


@dataclass(frozen=True, slots=True)
class SpeechConfig:
    """Set the limits.

    Attributes:
        open_dbfs: a block louder than this (RMS) is speech.
        close_dbfs: a block softer than this is not.
        hangover_ms: speech lasts this long after the last loud block.
        concealed_limit_ms: after so much concealment in a row the lips rest: nothing is invented.
    """

    open_dbfs: float = -46.0
    close_dbfs: float = -52.0
    hangover_ms: float = 160.0
    concealed_limit_ms: float = 120.0


class Concealer:
    """Fill holes in a stream of 20 ms blocks. Not thread-safe.

    The last block is played back and forth, so that the waveform has no step, and fades out within 60 ms. What comes
    after a hole or a cut fades in over 5 ms.
    """

    FADE_BLOCKS = 3
    CROSS_SAMPLES = 240

    def __init__(self) -> None:
        self._last: NDArray[np.float32] = np.zeros(BLOCK_SAMPLES, dtype=np.float32)
        self._missing = 0

    def push(self, samples: Block | None, *, cut: bool = False) -> Block:
        """Take the next block, None when it is missing; `cut` says that it does not follow the one before."""
        if samples is None:
            block = self._continuation()
            self._missing += 1
            return block.astype(np.int16)
        block = samples.astype(np.float32)
        if self._missing or cut:
            ramp = np.linspace(0.0, 1.0, self.CROSS_SAMPLES, dtype=np.float32)
            head = self._continuation()[: self.CROSS_SAMPLES]
            block[: self.CROSS_SAMPLES] = ramp * block[: self.CROSS_SAMPLES] + (1.0 - ramp) * head
        self._missing = 0
        self._last = block
        return block.astype(np.int16)

    def _continuation(self) -> NDArray[np.float32]:
        high = max(0.0, 1.0 - self._missing / self.FADE_BLOCKS)
        low = max(0.0, 1.0 - (self._missing + 1) / self.FADE_BLOCKS)
        there = self._last if self._missing % 2 else self._last[::-1]
        return (there * np.linspace(high, low, BLOCK_SAMPLES, dtype=np.float32)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Mark:
    speech: bool
    concealed_ms: float


class SpeechPath:
    """Carry one caller's speech from the jitter buffer to the viewers, and its mel to the lips. Not thread-safe.

    Attributes:
        hold_ms: a block pushed now leaves this much later.
        head_ms: media time of the end of the newest block pushed.
        level_db: RMS level of the newest block, dB relative to full scale.
    """

    def __init__(
        self, window: MelWindow, hold_ms: float, config: SpeechConfig | None = None, *, start_ms: float = 0.0
    ) -> None:
        """Begin at media time `start_ms`; `hold_ms` as `hold_for` says."""
        if hold_ms < 0 or hold_ms % BLOCK_MS:
            raise ValueError(f"hold_ms must be a multiple of {BLOCK_MS:g} and not negative; got {hold_ms}")
        self.config = config or SpeechConfig()
        self.hold_ms = hold_ms
        self.head_ms = start_ms
        self.level_db = -120.0
        self._window = window
        self._concealer = Concealer()
        self._decimator = Decimator()
        self._mel = StreamingMel()
        self._history = MelHistory(start_ms)
        self._held: deque[AudioBlock] = deque()
        self._marks: deque[_Mark] = deque(maxlen=int(hold_ms / BLOCK_MS) + 50)
        self._source_end: float | None = None
        self._quiet_ms = float("inf")
        self._concealed_ms = 0.0

    def push(self, samples: Block | None, source_ms: float | None = None) -> AudioBlock | None:
        """Take the next 20 ms: (960,) int16 at 48 kHz, or None to conceal; `source_ms` is the caller's time of it.

        Returns:
            The block that leaves now, `hold_ms` older; None until the line is full.

        Raises:
            ValueError: `samples` is not (960,) int16.
        """
        if samples is not None and (samples.shape != (BLOCK_SAMPLES,) or samples.dtype != np.int16):
            raise ValueError(f"a block is ({BLOCK_SAMPLES},) int16; got {samples.shape} {samples.dtype}")
        block = self._concealer.push(samples, cut=self._is_cut(samples, source_ms))
        self._mark(block, concealed=samples is None)
        self._history.extend(self._mel.push(self._decimator.push(block)))
        self._held.append(AudioBlock(block, self.head_ms, samples is None, None if samples is None else source_ms))
        self.head_ms += BLOCK_MS
        return self._held.popleft() if len(self._held) * BLOCK_MS > self.hold_ms else None

    def window(self, media_ms: float) -> NDArray[np.float32] | None:
        """Return the model's mel window (80, columns) for a frame at `media_ms`; None while its sound is not here."""
        if not self._history.ready(self._window, media_ms):
            return None
        return self._history.window(self._window, media_ms)

    def speech(self, media_ms: float) -> bool:
        """Say whether lips may move at `media_ms`: someone speaks and it is not invented. Past the newest: as there."""
        back = ceil((self.head_ms - media_ms) / BLOCK_MS - 1e-9)
        if not self._marks or back > len(self._marks):
            return False
        mark = self._marks[-max(back, 1)]
        return mark.speech and mark.concealed_ms <= self.config.concealed_limit_ms

    def _is_cut(self, samples: Block | None, source_ms: float | None) -> bool:
        before, self._source_end = self._source_end, None
        if samples is None or source_ms is None:
            return False
        self._source_end = source_ms + BLOCK_MS
        return before is not None and abs(source_ms - before) > BLOCK_MS / 2

    def _mark(self, block: Block, *, concealed: bool) -> None:
        self._concealed_ms = self._concealed_ms + BLOCK_MS if concealed else 0.0
        power = float(np.mean(np.square(block.astype(np.float32) / 32768.0)))
        level = self.level_db = float(10.0 * np.log10(power + 1e-12))
        limit = self.config.close_dbfs if self._quiet_ms < self.config.hangover_ms else self.config.open_dbfs
        self._quiet_ms = 0.0 if level > limit else self._quiet_ms + BLOCK_MS
        self._marks.append(_Mark(self._quiet_ms < self.config.hangover_ms, self._concealed_ms))
