"""Give the person in a video the words of any speech: the rooms of a call, run on files."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.generator import Generator, Image
from models.mel import SAMPLE_RATE
from realtime.face.synth import FaceSynth
from realtime.face.tracker import FaceTracker, MediaPipeTracker
from realtime.media import VideoFrame
from realtime.media_file import MediaError, MediaInfo, MediaWriter, probe, read_audio_blocks, read_video
from realtime.speech.heard import HeardHistory

_LEARN_MS: Final = 8000.0
_AUDIO_RATE: Final = 48_000

Progress = Callable[[float, float], None]
"""Take the ms done and the ms in all (0 when the speech file does not tell)."""


def dub(
    video: str | Path,
    speech: str | Path,
    out: str | Path,
    generator: Generator,
    progress: Progress | None = None,
    tracker: FaceTracker | None = None,
) -> int:
    """Write `out` (MP4), as long as `speech`, in which the person of `video` says it; return the number of frames.

    The video plays once with new lips; when the speech is longer, its last seconds go on back and forth. Both inputs
    are streamed: memory does not grow with their length.

    Args:
        video: file that shows a face; its own sound is not used.
        speech: file with an audio track.
        out: file to write; it appears when it is complete.
        generator: makes the mouths.
        progress: called about once per frame.
        tracker: follows the face; default MediaPipe. It is closed at the end.

    Raises:
        MediaError: a file cannot be used, or no face is found in `video`.
    """
    seen, heard = _probe(video, speech)
    synth = FaceSynth(generator, tracker or MediaPipeTracker())
    try:
        learned_ms = _learn(synth, video, seen.fps)
        picture = _Picture(synth, video, seen.fps, learned_ms)
        with MediaWriter(out, seen.fps, _AUDIO_RATE, synthetic=True) as writer:
            for media_ms, window in _windows(speech, generator, seen.fps, writer):
                writer.write_frame(picture.frame(window, media_ms))
                if progress is not None:
                    progress(media_ms + 1000.0 / seen.fps, heard.duration_ms)
            if not picture.spoken:
                raise MediaError(f"no face was found in {video}: give a video in which one face looks to the camera")
        return writer.frames
    finally:
        synth.close()


def _probe(video: str | Path, speech: str | Path) -> tuple[MediaInfo, MediaInfo]:
    seen, heard = probe(video), probe(speech)
    if not seen.has_video:
        raise MediaError(f"{video} has no video: give a file that shows a face")
    if not heard.has_audio:
        raise MediaError(f"{speech} has no audio track: give a file with speech")
    return seen, heard


def _learn(synth: FaceSynth, video: str | Path, fps: float) -> float:
    """Show the first seconds of the video to the history, so that the first frame has references; return their end."""
    end_ms = 0.0
    for frame in read_video(video, fps):
        synth.observe(frame.image, frame.media_ms)
        end_ms = frame.media_ms + 1000.0 / fps
        if end_ms >= _LEARN_MS:
            break
    # Playing from the start is a cut: no pose path may cross it.
    synth.history.interrupt()
    return end_ms


class _Picture:
    """The frames: those of the video with new lips, and after its end a walk over its last seconds."""

    def __init__(self, synth: FaceSynth, video: str | Path, fps: float, offset_ms: float) -> None:
        self._synth, self._offset_ms = synth, offset_ms
        self._frames: Iterator[VideoFrame] = read_video(video, fps)
        self._ended = False
        self._size: tuple[int, ...] | None = None
        self.spoken = False

    def frame(self, window: NDArray[np.float32], media_ms: float) -> Image:
        at_ms = media_ms + self._offset_ms
        source = None if self._ended else next(self._frames, None)
        if source is not None:
            image = self._synth.overlay(source.image, window, at_ms, speech=True).image
            self.spoken = self.spoken or image is not source.image
            return image
        if not self._ended:
            self._ended = True
            self._synth.start(at_ms)
        return self._synth.render(window, at_ms, speech=True).image


def _windows(
    speech: str | Path, generator: Generator, fps: float, writer: MediaWriter
) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """Yield time and window of each frame as soon as its sound was read, and write the sound on the way."""
    stream, columns = generator.hearing.stream(), HeardHistory(generator.hearing)
    sound = read_audio_blocks(speech, _AUDIO_RATE)
    heard, index, written = 0, 0, 0.0
    for block in read_audio_blocks(speech, SAMPLE_RATE):
        heard += block.size
        columns.extend(stream.push(block))
        while columns.ready(index * 1000.0 / fps):
            yield index * 1000.0 / fps, columns.window(index * 1000.0 / fps)
            index += 1
        while written < heard / SAMPLE_RATE and (piece := next(sound, None)) is not None:
            writer.write_audio(piece)
            written += piece.size / _AUDIO_RATE
    columns.extend(stream.flush())
    for piece in sound:
        writer.write_audio(piece)
    # The window's lookahead past the end is silence.
    while index * 1000.0 / fps < heard * 1000.0 / SAMPLE_RATE:
        yield index * 1000.0 / fps, columns.window(index * 1000.0 / fps)
        index += 1
