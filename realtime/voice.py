"""Whether the caller speaks, and how far the mouth may open: voice probability, and what stands out of the background.

Pure. A voice detector fires on every voice in the room. So where the background itself sounds like speech (babble), the
caller must also stand out of it: in the mean over mel bands, by more than babble does by chance. Where the background
is music or noise, the detector decides. Decisions look 62 ms ahead, which hides the detector's delay: sound waits for
the lips anyway. `docs/design/voice.md` has the rule and its figures.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.alignment import COLUMN_MS
from models.mel import N_MELS, Mel

DB: Final = 12.5
"""dB in one unit of mel."""

AHEAD: Final = 5
"""Columns after the one decided that are heard."""

BACK: Final = 6
_ROW: Final = 4  # columns in a row of the background's memory: 50 ms
_LEAD_MS: Final = 32.0  # the detector's probability is best compared with the sound this long before
_CHUNK_MS: Final = 32.0
_STARTUP: Final = 6  # rows in which the detector warms up


class Detector(Protocol):
    """Give a probability of speech per 512 samples; `models.vad.VoiceDetector` is one."""

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take samples (n,) at 16 kHz; return the probabilities 0..1 of the chunks now complete."""


class MouthGate(Protocol):
    """Say how far the mouth may open; given to `SpeechPath`."""

    def push(self, samples: NDArray[np.float32], mel: Mel) -> None:
        """Take the next samples (n,) at 16 kHz and the mel columns (80, k) that they complete."""

    def opening(self, ms: float) -> float:
        """Return 0 (shut) to 1 (free) for `ms` after the first sample; past the newest decision: as there."""


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    """Set the limits; dB are those of mel bands, tuned on the mixes of `benchmarks.voice`.

    Attributes:
        probability: of the detector, from which there may be speech.
        over_db: what a band must have over the background before it counts.
        cap_db: more than this over it counts no more.
        stand_out_db: mean over bands and 150 ms from which a voice stands out of babble.
        spread: the mouth opens fully at 1 + `spread` times that.
        share: of the recent speech's own mean below which a sound is its end.
        faint_db: taken off that mean first: speech that noise buries to there ends by the detector alone.
        babble_from, babble_to: probability in the quietest moments between which the background counts as voices.
        rise_ms, fall_ms: time constants of the background.
        memory_ms: how long the quietest moments are remembered.
        bridge_columns: a gap after which speech goes on within so many columns keeps the mouth as it is.
    """

    probability: float = 0.5
    over_db: float = 3.0
    cap_db: float = 12.0
    stand_out_db: float = 2.2
    spread: float = 1.0
    share: float = 0.25
    faint_db: float = 1.5
    babble_from: float = 0.12
    babble_to: float = 0.3
    rise_ms: float = 1200.0
    fall_ms: float = 500.0
    memory_ms: float = 10_000.0
    bridge_columns: int = 4


class _Background:
    """Track the level of each band when nobody near speaks, dB, and how voice-like that is."""

    def __init__(self, config: VoiceConfig) -> None:
        self._config = config
        self._tracked: NDArray[np.float64] = np.full(N_MELS, -45.0)
        self._least, self._most = self._tracked, np.full(N_MELS, np.inf)
        rows = round(config.memory_ms / (_ROW * COLUMN_MS))
        self._rows: deque[NDArray[np.float64]] = deque(maxlen=rows)
        self._levels: deque[float] = deque(maxlen=rows)
        self._voices: deque[float] = deque(maxlen=rows + rows // 5)
        self._seen = 0
        self.babble = 0.0
        """0: noise or music; 1: voices."""

    def remember(self, columns: NDArray[np.float64], probability: float) -> None:
        """Take a row of columns (80, 4) dB."""
        self._rows.append(columns.mean(axis=1))
        newest = [np.maximum(row, -45.0) for row in list(self._rows)[-4:]]
        self._levels.append(float(np.mean(newest)))
        self._voices.append(probability if self._seen >= _STARTUP else 1.0)
        self._seen += 1
        order = np.argsort(np.array(self._levels))
        rows = np.array(self._rows)
        self._least = rows[order[: max(1, round(0.08 * len(order)))]].mean(axis=0)
        # However wrong the decisions were, speech is not taken for background.
        self._most = rows[order[: max(1, len(order) // 2)]].mean(axis=0) + 4.0
        quiet = sorted(self._voices)[int(0.05 * len(self._voices))]
        span = self._config.babble_to - self._config.babble_from
        self.babble = min(max((quiet - self._config.babble_from) / span, 0.0), 1.0)

    def level(self) -> NDArray[np.float64]:
        """Return (80,) dB."""
        return np.minimum(np.maximum(self._tracked, self._least), self._most)

    def follow(self, column: NDArray[np.float64] | None) -> None:
        """Move towards a column without speech (80,) dB, or None: stay."""
        self._tracked = self.level()
        if column is not None:
            off = column - self._tracked
            pace = np.where(off > 0, COLUMN_MS / self._config.rise_ms, COLUMN_MS / self._config.fall_ms)
            self._tracked = self._tracked + off * pace


class VoiceGate:
    """Decide per mel column of 12.5 ms how far the mouth may open (a `MouthGate`). Not thread-safe."""

    KEPT = 1600

    def __init__(self, detector: Detector, config: VoiceConfig | None = None) -> None:
        """Ask `detector`, which becomes this instance's own."""
        self.config = config or VoiceConfig()
        self._detector = detector
        self._background = _Background(self.config)
        self._columns: deque[NDArray[np.float64]] = deque(maxlen=BACK + AHEAD + 1)
        self._probabilities: deque[float] = deque(maxlen=self.KEPT)
        self._chunks = self._heard = self._decided = 0
        self._peak = 0.0
        self._openings: deque[float] = deque([0.0], maxlen=self.KEPT)

    def push(self, samples: NDArray[np.float32], mel: Mel) -> None:
        """Take the next samples (n,) float32 at 16 kHz and the mel columns (80, k) that they complete."""
        found = self._detector.push(samples)
        self._probabilities.extend(float(value) for value in found)
        self._chunks += len(found)
        for column in mel.T:
            self._columns.append(column.astype(np.float64) * DB)
            self._heard += 1
            if self._heard % _ROW == 0:
                newest = np.array(self._columns)[-_ROW:].T
                self._background.remember(newest, self._probability(self._heard - _ROW))
            if self._heard > AHEAD:
                self._decide()

    def opening(self, ms: float) -> float:
        """Return 0 (shut) to 1 (free) for `ms` after the first sample; past the newest decision: as there."""
        back = self._decided - 1 - round(ms / COLUMN_MS)
        return self._openings[-1 - min(max(back, 0), len(self._openings) - 1)]

    def _probability(self, column: int) -> float:
        """Return the probability that belongs to a column, of the newest chunk where its own is not here yet."""
        if not self._chunks:
            return 0.0
        back = self._chunks - 1 - int((column * COLUMN_MS + _LEAD_MS) // _CHUNK_MS)
        return self._probabilities[-1 - min(max(back, 0), len(self._probabilities) - 1)]

    def _decide(self) -> None:
        """Decide on the column `AHEAD` columns before the newest."""
        config, background = self.config, self._background
        columns = np.array(self._columns)
        over = np.clip(columns - background.level() - config.over_db, 0.0, config.cap_db).mean(axis=1)
        out = float(over.mean())
        at = len(columns) - 1 - AHEAD
        now = float(over[max(0, at - 1) : at + 2].max())
        least = 0.02 + (config.stand_out_db - 0.02) * background.babble
        least = max(least, config.share * (self._peak - config.faint_db))
        voice = self._probability(self._heard - 1 - AHEAD) > config.probability
        speech = voice and out > least and now > 0.35 * least
        self._peak = max(out, self._peak) if speech else self._peak * (1.0 - COLUMN_MS / 1000.0)
        width = least * config.spread * background.babble + 1e-6
        opening = min((out - least) / width, 1.0) if speech else 0.0
        if not speech and voice and float(over[at + 1 : at + 1 + config.bridge_columns].max()) > 1.5 * least:
            # The gap of a plosive: the sound goes on at its far side.
            opening = self._openings[-1]
        self._openings.append(opening)
        self._decided += 1
        sure = not voice or out < 0.8 * max(least, 0.5)
        background.follow(columns[at] if sure else None)
