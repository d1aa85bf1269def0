"""Run the hearing network from ONNX: sound in, a frame of what is heard every 20 ms. No torch here."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.ears.contract import AFTER, BEFORE, FRAME_MS, TAIL_MS, EarsConfig, newest_frame
from models.ears.logmel import FLOOR, HOP, LogMelStream, log_mel
from models.errors import ModelError
from models.hearing import cut_window
from models.mel import N_MELS, Samples
from models.onnx.contract import KIND_KEY, check_version
from models.runtime import open_session

KIND: Final = "ears"
CONFIG_KEY: Final = "lipline.ears"
"""Metadata property that holds the EarsConfig as JSON."""

SILENCE_KEY: Final = "lipline.silence"
"""Metadata property that holds the state after silence, float16 in base64."""

_AT_ONCE: Final = 250  # frames of a whole recording that are heard in one call: memory, not speed

Frames = NDArray[np.float32]
"""(width, k) float32, what is heard; frame i lies at sample 320 i."""


_TAIL_SAMPLES: Final = round(TAIL_MS * 16)


class Ears:
    """An open hearing network, from which any number of streams hear. Streams of one network: one thread at a time.

    Attributes:
        config: its sizes.
        silence: (width,) float32, the frame of digital silence.
    """

    def __init__(self, model: Path | bytes, threads: int = 1) -> None:
        """Open a file of `lipline train ears`, or its content.

        Raises:
            ModelError: it is missing, damaged or of another kind.
        """
        self.session: Any = open_session(model, threads=threads)
        metadata = self.session.get_modelmeta().custom_metadata_map
        if metadata.get(KIND_KEY) != KIND:
            raise ModelError("it is no hearing network: give one of `lipline train ears`")
        check_version(metadata)
        try:
            self.config = EarsConfig.from_json(json.loads(metadata[CONFIG_KEY]))
            self.state = _state_of_text(metadata[SILENCE_KEY], self.config)
        except (KeyError, ValueError, TypeError) as error:
            raise ModelError(f"the file's {CONFIG_KEY} cannot be read: train it again") from error
        quiet = np.full((N_MELS, 2 * self.config.past + BEFORE + AFTER - 1), FLOOR, np.float32)
        self.silence = self.run(quiet, self.state)[0][:, -1].copy()

    def run(self, mel: NDArray[np.float32], state: NDArray[np.float32]) -> tuple[Frames, NDArray[np.float32]]:
        """Return the frames (width, k) of log-mel columns (80, 2 k + 3), and the next state."""
        frames, after = self.session.run(["frames", "next"], {"mel": mel[None], "state": state})
        return frames[0].T, after

    def stream(self) -> "EarsStream":
        """Return a new stream, with silence before it."""
        return EarsStream(self)

    def hear(self, samples: Samples) -> Frames:
        """Return the frames (width, 1 + n // 320) of a whole recording (n,), mono at 16 kHz; silence lies around it."""
        count = 1 + len(samples) // (2 * HOP)
        # The columns at the end hear the last of the sound, then silence, as those of a stream do.
        mel = log_mel(np.pad(samples, (0, _TAIL_SAMPLES)))
        mel = np.pad(mel, ((0, 0), (BEFORE, 0)), constant_values=FLOOR)
        state, heard = self.state, []
        for first in range(0, count, _AT_ONCE):
            last = min(first + _AT_ONCE, count)
            frames, state = self.run(np.ascontiguousarray(mel[:, 2 * first : 2 * last - 1 + BEFORE + AFTER]), state)
            heard.append(frames)
        return np.ascontiguousarray(np.concatenate(heard, 1))


class EarsStream:
    """Hear one stream. Joined, its frames and those of its flush equal `Ears.hear` of the joined samples.

    Not thread-safe.

    Frame i comes with the push that brings sample 320 i + 519, 32.5 ms after its time. What is kept: the state (the
    past second of each layer), four columns and at most 399 samples. What was heard more than layers x past frames ago
    has no influence, so a stream needs no reset.
    """

    def __init__(self, ears: Ears) -> None:
        self._ears = ears
        self._state = ears.state
        self._mel = LogMelStream()
        self._columns: NDArray[np.float32] = np.full((N_MELS, BEFORE), FLOOR, np.float32)
        self._samples = self._frames = 0  # taken and returned so far

    def push(self, samples: Samples) -> Frames:
        """Take the next samples (n,), mono at 16 kHz; return the frames (width, k) that they complete, k may be 0."""
        self._samples += len(samples)
        self._columns = np.concatenate([self._columns, self._mel.push(samples)], 1)
        count = (self._columns.shape[1] - BEFORE - AFTER + 1) // 2
        if count < 1:
            return np.empty((self._ears.config.width, 0), np.float32)
        used = np.ascontiguousarray(self._columns[:, : 2 * count - 1 + BEFORE + AFTER])
        frames, self._state = self._ears.run(used, self._state)
        self._columns = self._columns[:, 2 * count :]
        self._frames += count
        return frames

    def flush(self) -> Frames:
        """End the stream, after which it takes nothing more; return the frames that reach into the silence after it."""
        missing = 1 + self._samples // (2 * HOP) - self._frames
        return self.push(np.zeros(_TAIL_SAMPLES, np.float32))[:, :missing]


def state_to_text(state: NDArray[np.float32]) -> str:
    """Write a state as a metadata value."""
    return base64.b64encode(state.astype("<f2").tobytes()).decode("ascii")


def _state_of_text(text: str, config: EarsConfig) -> NDArray[np.float32]:
    numbers = np.frombuffer(base64.b64decode(text, validate=True), "<f2")
    return numbers.reshape(1, *config.state_shape).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class EarsHearing:
    """Hear with a network (a models.hearing.Hearing): the frames up to the lookahead, at exact times.

    Attributes:
        ears: the network; whoever shares it shares its thread.
        columns: frames of a window.
        lookahead_ms: sound needed after the frame's time, in ms.
    """

    ears: Ears
    columns: int
    lookahead_ms: float

    @property
    def step_ms(self) -> float:
        """Spacing of frames, in ms."""
        return FRAME_MS

    @property
    def silence(self) -> Frames:
        """What digital silence sounds like, (width, 1)."""
        return self.ears.silence[:, None]

    def place(self, media_ms: float) -> tuple[int, float]:
        """Return the index of the first frame, and how far the window lies towards the frames one later."""
        newest, share = newest_frame(media_ms, self.lookahead_ms)
        return newest - self.columns + 1, share

    def stream(self) -> EarsStream:
        """Return a new stream with silence before it."""
        return self.ears.stream()

    def hear(self, samples: Samples) -> Frames:
        """Return the frames (width, 1 + n // 320) of a whole recording."""
        return self.ears.hear(samples)

    def cut(self, heard: Frames, media_ms: float) -> Frames:
        """Cut the window (width, columns) of a frame at `media_ms` out of what was heard."""
        return cut_window(self, heard, media_ms)
