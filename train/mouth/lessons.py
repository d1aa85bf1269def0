"""What ears and voice are taught mouths from: labels for all speech, and what filmed people's mouths did.

Few people are filmed, and a voice that learned from two of them on a student's hearing follows them and hardly
strangers. On the teacher's hearing it follows strangers far better. So a voice on the teacher labels the speech of
everybody, and ears and voice learn these labels from that speech as it arrives.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.ears.contract import FRAME_MS
from models.ears.logmel import whisper_log_mel
from models.ears.whisper import WhisperEncoder
from models.hearing import Columns, cut_window
from models.lite.voice import VoiceNetwork
from models.mel import SAMPLE_RATE, Samples
from train.data.clips import FPS, Clip
from train.data.sounds import Sound
from train.ears.config import SpoiltConfig
from train.ears.heard import columns_for
from train.ears.spoil import levelled, revoiced, spoilt
from train.lite.basis import coefficients_of

PICTURE_FRAMES: Final = 2
"""Frames of hearing from one picture to the next, at 25 a second."""

_OUTSIDE: Final = 0.4  # weight of a picture before and after the speech, against one inside
_LATE: Final = round(SAMPLE_RATE * FRAME_MS / 1000.0)


@dataclass(frozen=True, slots=True, eq=False)
class TeacherHearing:
    """Hear with the teacher: a whole recording at once, past and future (for train.lite.heard.ClipHearing).

    Attributes:
        teacher: the encoder.
        silence: what it hears in digital silence, (width, 1).
        columns: frames of a voice's window, 20 ms apart.
        ahead: those of them that come after the picture's own.
    """

    teacher: WhisperEncoder
    silence: Columns
    columns: int = 13
    ahead: int = 4

    @classmethod
    def of(cls, teacher: WhisperEncoder) -> "TeacherHearing":
        """Return the hearing of a teacher."""
        quiet = _heard(teacher, np.zeros(2 * SAMPLE_RATE, np.float32))
        return cls(teacher, quiet[:, quiet.shape[1] // 2, None])

    def place(self, media_ms: float) -> tuple[int, float]:
        """Return the index of a window's first frame and how far it lies towards the next (models.hearing)."""
        at = media_ms / FRAME_MS - (self.columns - 1 - self.ahead)
        return int(np.floor(at)), float(at - np.floor(at))

    def hear(self, samples: Samples) -> Columns:
        """Return the frames (width, n // 320) of a recording (n,), mono at 16 kHz, at most 30 s."""
        return _heard(self.teacher, levelled(np.asarray(samples, np.float32)))

    def cut(self, heard: Columns, media_ms: float) -> Columns:
        """Cut the window (width, columns) of a picture at `media_ms` out of what was heard."""
        return cut_window(self, heard, media_ms)


@torch.no_grad()
def _heard(teacher: WhisperEncoder, sound: Sound) -> Columns:
    frames = sound.size // _LATE
    mel = torch.from_numpy(whisper_log_mel(sound))[None, :, : 2 * frames]
    return np.ascontiguousarray(teacher(mel)[0].numpy().T)


@torch.no_grad()
def label(
    voices: Sequence[VoiceNetwork],
    hearing: TeacherHearing,
    taught: NDArray[np.float16],
    report: Callable[[str], None] = lambda line: None,
) -> NDArray[np.float32]:
    """Return the mouth of every picture of all speech, (M, ceil(T / 2), B): the mean of what `voices` tell.

    Args:
        voices: on the teacher's hearing, in evaluation mode.
        hearing: that hearing.
        taught: (M, T, width), what the teacher heard.
        report: takes a line of progress.
    """
    told = []
    for at, piece in enumerate(taught):
        heard = np.ascontiguousarray(piece.T, np.float32)
        times = np.arange(0, len(piece), PICTURE_FRAMES) * FRAME_MS
        windows = torch.from_numpy(np.stack([hearing.cut(heard, float(ms)) for ms in times]))
        told.append(torch.stack([voice(windows) for voice in voices]).mean(0).numpy())
        if (at + 1) % 1000 == 0:
            report(f"{at + 1} pieces labelled")
    return np.stack(told)


class Filmed(NamedTuple):
    """One hearing of a clip, and its mouth at every second frame of that hearing.

    Attributes:
        mel: (80, 2 T + 3) float16, the student's log-mel of T frames.
        mouth: (T / 2, B) float32 coefficients.
        weight: (T / 2,) float32, of each of them.
    """

    mel: NDArray[np.float16]
    mouth: NDArray[np.float32]
    weight: NDArray[np.float32]


def film(
    clips: Sequence[Clip], basis: NDArray[np.float32], frames: int, config: SpoiltConfig, seed: int
) -> list[list[Filmed]]:
    """Hear each clip as it was said, and spoilt `config.renditions` times, for T = `frames` (even) frames."""
    others = [clip.samples.astype(np.float32) / np.float32(32768.0) for clip in clips[:100]]
    made = []
    for at, clip in enumerate(clips):
        rng = np.random.default_rng((seed, at))
        made.append([_film(clip, basis, frames, others, config, rng, at=k) for k in range(config.renditions + 1)])
    return made


def _film(
    clip: Clip,
    basis: NDArray[np.float32],
    frames: int,
    others: Sequence[Sound],
    config: SpoiltConfig,
    rng: np.random.Generator,
    *,
    at: int,
) -> Filmed:
    """Return rendition `at`: 0 as it was said, others in another voice, spoilt, and up to one frame later."""
    said = clip.samples.astype(np.float32) / np.float32(32768.0)
    late, tempo = 0, 1.0
    if at:
        late = int(rng.integers(_LATE))
        voice = revoiced(said, float(config.voice ** rng.uniform(-1.0, 1.0)))
        tempo = said.size / voice.size
        said = spoilt(np.pad(voice, (late, 0)), others, config, rng)
    # Pictures of this hearing: which of the clip's they are, which may lie between two.
    times_ms = np.arange(0, frames, PICTURE_FRAMES) * FRAME_MS - late * 1000.0 / SAMPLE_RATE
    picture = times_ms * tempo * FPS / 1000.0
    inside = (picture >= 0) & (picture <= len(clip) - 1)
    picture = picture.clip(0, len(clip) - 1)
    first = np.minimum(picture.astype(np.int64), len(clip) - 2)
    share = (picture - first).astype(np.float32)[:, None]
    truth = coefficients_of(clip, basis)
    mouth = truth[first] * (1 - share) + truth[first + 1] * share
    weight = inside * np.where(clip.speech[picture.round().astype(np.int64)], 1.0, _OUTSIDE)
    return Filmed(columns_for(said, frames).astype(np.float16), mouth.astype(np.float32), weight.astype(np.float32))
