"""The speech of a video on the clock of its picture, how loud it is, and where to cut it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from models.mel import SAMPLE_RATE
from realtime.media_file import MediaError, read_audio
from train.data.shards import FRAME_SAMPLES

QUIETEST: Final = -60.0
"""dB of full scale below which nothing is speech, however quiet the rest."""

_VOICED: Final = 0.3  # of the way from the quiet to the loud moments of a video, in dB
_PAUSE: Final = 5  # frames that a cut wants to be quiet


def read_speech(path: Path, on_damage: Callable[[int], None] | None = None) -> NDArray[np.int16]:
    """Return the sound of a video, (n,) int16 mono at 16 kHz; sample 0 is heard when its first frame is shown.

    Silence makes its last 40 ms whole. realtime.media_file starts each stream at its own beginning; in CREMA-D the
    picture begins 33 ms after the sound. `on_damage` is called as by realtime.media_file.read_video.

    Raises:
        MediaError: the file cannot be read or has no sound.
    """
    samples = read_audio(path, SAMPLE_RATE, on_damage=on_damage)
    late = round((_begin(path, "audio") - _begin(path, "video")) * SAMPLE_RATE)
    samples = np.concatenate([np.zeros(late, np.float32), samples]) if late > 0 else samples[-late:]
    samples = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES))
    return np.asarray(np.clip(samples * 32767.0, -32768, 32767), dtype=np.int16)


def _begin(path: Path, kind: str) -> float:
    """Return the time in s at which the first frame of a stream is due."""
    try:
        with av.open(str(path)) as container:
            streams: Any = getattr(container.streams, kind)
            if not streams:
                raise MediaError(f"{path.name} has no {kind}: give a video with speech")
            for frame in container.decode(streams[0]):
                return float(frame.time or 0.0)
    except av.error.FFmpegError as error:
        raise MediaError(f"{path.name} does not decode: give another copy") from error
    raise MediaError(f"{path.name} holds no frame of {kind}: give another copy")


def levels(speech: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return how loud each whole frame of 40 ms is, (n // 640,) in dB of full scale (RMS, at least -100)."""
    frames = len(speech) // FRAME_SAMPLES
    blocks = speech[: frames * FRAME_SAMPLES].reshape(frames, FRAME_SAMPLES).astype(np.float64) / 32768.0
    return np.asarray(10.0 * np.log10((blocks**2).mean(1) + 1e-10), dtype=np.float32)


def voiced(loudness: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say which frames of a video are loud enough to be speech, by its own quiet and loud moments.

    Loudness is all that is judged: music passes, and of a film tightly cut to speech the weak syllables do not.
    """
    if not loudness.size:
        return np.zeros(0, dtype=bool)
    floor, peak = np.percentile(loudness, [10, 95])
    return np.asarray(loudness > max(floor + _VOICED * (peak - floor), QUIETEST), dtype=bool)


def cuts(loudness: NDArray[np.float32], longest: int) -> Iterator[tuple[int, int]]:
    """Yield (first, end) of consecutive pieces of at most `longest` frames, cut in the quietest fifth of a second.

    The cut is looked for in the later half of what a piece may hold, so that no piece but the last is shorter than
    half of `longest`.
    """
    total, first = len(loudness), 0
    if not total:
        return
    around = np.pad(loudness, _PAUSE // 2, mode="edge")
    loudest = np.lib.stride_tricks.sliding_window_view(around, _PAUSE).max(1)
    while total - first > longest:
        earliest = first + (longest + 1) // 2
        end = earliest + int(loudest[earliest : first + longest + 1].argmin())
        yield first, end
        first = end
    yield first, total


def tighten(voice: NDArray[np.bool_], first: int, end: int, margin: int) -> tuple[int, int]:
    """Return the piece without what lies more than `margin` frames before its first or after its last voiced frame."""
    heard = np.flatnonzero(voice[first:end])
    if not heard.size:
        return first, first
    return max(first, first + int(heard[0]) - margin), min(end, first + int(heard[-1]) + 1 + margin)
