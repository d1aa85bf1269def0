"""Read and write video and audio files with PyAV; nothing but its wheel is needed."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from models.generator import Image
from realtime.media import VideoFrame

_LOG: Final = logging.getLogger(__name__)
_FPS_RANGE: Final = (5.0, 60.0)
_MARK: Final = (
    "AI-generated video: lips synthesised by lipline. "
    "DigitalSourceType http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)


class MediaError(ValueError):
    """One line that says why a media file cannot be used and what to do about it."""


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """The facts of a file; `fps`, `width`, `height` are 0 without video, `duration_ms` where the file does not say."""

    has_video: bool
    has_audio: bool
    fps: float
    width: int
    height: int
    duration_ms: float


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    if not Path(path).is_file():
        raise MediaError(f"there is no file {path}: check the path")
    try:
        container = av.open(os.fspath(path))
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(
            f"{path} is not a media file, or it is cut off at the start: give a video or audio file"
        ) from error
    with container:
        yield container


def _keep_older(partial: Path) -> None:
    """Rename what a killed process left, so that it is not overwritten."""
    if not partial.exists():
        return
    whole = Path(partial.stem)
    names = (partial.with_name(f"{whole.stem}.rescued{number}{whole.suffix}") for number in count(1))
    kept = next(name for name in names if not name.exists())
    partial.rename(kept)
    _LOG.warning("an earlier recording was cut off: what there is of it is now %s", kept.name)


def probe(path: str | Path) -> MediaInfo:
    """Return the facts of a file.

    Raises:
        MediaError: the file is missing or is no media file.
    """
    with _opened(path) as container:
        duration = float(container.duration or 0) / 1000.0
        if not container.streams.video:
            return MediaInfo(False, bool(container.streams.audio), 0.0, 0, 0, duration)
        video = container.streams.video[0]
        fps = float(video.average_rate or video.guessed_rate or 25)
        fps = min(max(fps, _FPS_RANGE[0]), _FPS_RANGE[1])
        return MediaInfo(True, bool(container.streams.audio), fps, video.width, video.height, duration)


def _decoded(container: Any, stream: Any, path: str | Path, on_damage: Callable[[int], None] | None) -> Iterator[Any]:
    """Yield decoded frames; damage in mid-file ends or thins the stream, and is reported once."""
    frames, damaged = 0, False
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            decoded = packet.decode()
        except av.error.InvalidDataError:
            if not damaged and on_damage is not None:
                on_damage(frames)
            elif not damaged:
                _LOG.warning("%s is damaged or cut off after %d frames: using what decodes", path, frames)
            damaged = True
            continue
        except av.error.EOFError:
            break
        frames += len(decoded)
        yield from decoded


def _upright(frame: Any) -> Image:
    """Return the frame as BGR, turned as its display matrix says (phones film lying)."""
    image = frame.to_ndarray(format="bgr24")
    turns = round(frame.rotation / 90.0) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else np.asarray(image)


def read_video(
    path: str | Path, fps: float | None = None, *, on_damage: Callable[[int], None] | None = None
) -> Iterator[VideoFrame]:
    """Yield the frames at a constant rate, one at a time; media time 0 is the first frame.

    Args:
        path: any file with a video stream.
        fps: rate to give; frames are repeated or left out to keep their times. Default: the file's own mean rate.
        on_damage: called once when part of the file does not decode, with the number of frames that did until then.
            Default: a warning in the log.

    Raises:
        MediaError: no such file, no media file, no video in it, or not one frame decodes.
    """
    rate = fps or probe(path).fps
    with _opened(path) as container:
        if not container.streams.video:
            raise MediaError(f"{path} has no video: give a file that shows a face")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        count, first_s, held_s, held = 0, None, 0.0, None
        for frame in _decoded(container, stream, path, on_damage):
            at_s = frame.time if frame.time is not None else count / rate
            first_s = at_s if first_s is None else first_s
            # What lies before this frame's time is the frame before; times may tremble by half an interval.
            slack_s = min(1.0 / rate, max(at_s - held_s, 0.0)) / 2.0
            while held is not None and count / rate < at_s - first_s - slack_s:
                yield VideoFrame(held, count * 1000.0 / rate)
                count += 1
            held, held_s = _upright(frame), at_s
        if held is None:
            raise MediaError(f"no frame of {path} decodes: the file is damaged, give another copy")
        yield VideoFrame(held, count * 1000.0 / rate)


def read_audio_blocks(
    path: str | Path, rate: int, *, on_damage: Callable[[int], None] | None = None
) -> Iterator[NDArray[np.float32]]:
    """Yield the sound as blocks of float32 mono at `rate` Hz, -1..1, of any length above 0.

    `on_damage` is called as by `read_video`.

    Raises:
        MediaError: no such file, no media file, no audio in it, or nothing decodes.
    """
    with _opened(path) as container:
        if not container.streams.audio:
            raise MediaError(f"{path} has no audio track: give a file with speech")
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        seen = False
        for frame in _decoded(container, container.streams.audio[0], path, on_damage):
            # The resampler refuses a clock that jumps; blocks are taken as contiguous.
            frame.pts = None
            for block in resampler.resample(frame):
                seen = True
                yield np.asarray(block.to_ndarray(), dtype=np.float32).reshape(-1)
        if not seen:
            raise MediaError(f"no sound of {path} decodes: the file is damaged, give another copy")
        for block in resampler.resample(None):
            if block.samples:
                yield np.asarray(block.to_ndarray(), dtype=np.float32).reshape(-1)


def read_audio(path: str | Path, rate: int, *, on_damage: Callable[[int], None] | None = None) -> NDArray[np.float32]:
    """Return the whole sound, float32 (n,) mono at `rate` Hz; errors and `on_damage` as `read_audio_blocks`."""
    return np.concatenate(list(read_audio_blocks(path, rate, on_damage=on_damage)))


class MediaWriter:
    """Write an MP4 with H.264 (yuv420p) and AAC. The file appears under its name only when it is complete.

    Frames and sound may come in any order; give them roughly in step to keep memory small. Not thread-safe.
    """

    def __init__(
        self, path: str | Path, fps: float, audio_rate: int | None = 48_000, synthetic: bool = False, *,
        preset: str = "veryfast", live: bool = False,
    ) -> None:  # fmt: skip
        """Begin to write `path`.

        Args:
            path: file to write.
            fps: rate of the frames.
            audio_rate: of the sound, None leaves it out.
            synthetic: marks the file for machines.
            preset: of x264; the faster, the larger the file.
            live: for what cannot be recorded again: finished at once whatever its length, and what a killed process
                leaves under `path` with ".part" plays up to its last second. An older such file is kept under
                another name.

        Raises:
            MediaError: there is no such folder.
        """
        self._path = Path(path)
        if not self._path.parent.is_dir():
            raise MediaError(f"there is no folder {self._path.parent}: make it first")
        self._partial = self._path.with_name(self._path.name + ".part")
        if live:
            _keep_older(self._partial)
        # FFmpeg writes fragments and turns them into a plain MP4 at the end, without a second pass over the file.
        options = {"movflags": "+hybrid_fragmented+delay_moov" if live else "+faststart"}
        self._container: Any = av.open(os.fspath(self._partial), "w", format="mp4", options=options)
        if synthetic:
            self._container.metadata["comment"] = _MARK
        self._fps = Fraction(fps).limit_denominator(1001)
        self._video = self._container.add_stream("libx264", rate=self._fps, options={"crf": "18", "preset": preset})
        self._video.pix_fmt = "yuv420p"
        self._audio: Any = None
        if audio_rate is not None:
            self._audio = self._container.add_stream("aac", rate=audio_rate, layout="mono")
        self._size: tuple[int, int] | None = None
        self._early: list[NDArray[np.float32]] = []
        self.frames = self.samples = 0

    def __enter__(self) -> "MediaWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def write_frame(self, image: Image) -> None:
        """Append a frame (H, W, 3) uint8 BGR; all have the size of the first, an odd last row or column is cut off."""
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        self._write(av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="bgr24"))

    def write_i420(self, i420: NDArray[np.uint8]) -> None:
        """Append a frame as I420 (H * 3 // 2, W) uint8, the planes Y, U, V one below the other."""
        self._write(av.VideoFrame.from_ndarray(np.ascontiguousarray(i420), format="yuv420p"))

    def _write(self, frame: Any) -> None:
        if self._size is None:
            self._size = (frame.height, frame.width)
            self._video.width, self._video.height = frame.width, frame.height
            early, self._early = self._early, []
            for samples in early:
                self.write_audio(samples)
        if self._size != (frame.height, frame.width):
            raise ValueError(f"frame is {frame.width}x{frame.height}, the file {self._size[1]}x{self._size[0]}")
        frame.pts, frame.time_base = self.frames, 1 / self._fps
        self.frames += 1
        self._container.mux(self._video.encode(frame))

    def write_audio(self, samples: NDArray[np.float32]) -> None:
        """Append float32 mono samples at the writer's rate; an empty block is nothing."""
        if self._audio is None:
            raise ValueError("this file has no sound")
        if not samples.size:
            return
        if self._size is None:
            # The container's header holds the size of the picture, and the first packet of any stream writes it.
            self._early.append(samples)
            return
        block = np.clip(samples, -1.0, 1.0).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate = self._audio.rate
        frame.pts, frame.time_base = self.samples, Fraction(1, self._audio.rate)
        self.samples += samples.size
        self._container.mux(self._audio.encode(frame))

    def close(self) -> None:
        """Finish the file.

        Raises:
            ValueError: no frame was written; nothing is left behind.
        """
        if not self.frames:
            self.abandon()
            raise ValueError("no frame was written")
        self._container.mux(self._video.encode(None))
        if self._audio is not None and self.samples:
            self._container.mux(self._audio.encode(None))
        self._container.close()
        self._partial.replace(self._path)

    def abandon(self) -> None:
        """Drop what was written."""
        try:
            self._container.close()
        except (av.error.FFmpegError, ValueError):
            _LOG.debug("closing an unfinished file", exc_info=True)
        self._partial.unlink(missing_ok=True)


def write_media(
    path: str | Path,
    frames: Iterable[Image],
    fps: float,
    audio: NDArray[np.float32] | None = None,
    audio_rate: int = 48_000,
    *,
    synthetic: bool = False,
) -> None:
    """Write an MP4 from frames (H, W, 3) BGR and float32 mono `audio` at `audio_rate`, None for a silent file."""
    with MediaWriter(path, fps, None if audio is None else audio_rate, synthetic) as writer:
        step = round(audio_rate / fps)
        for index, image in enumerate(frames):
            writer.write_frame(image)
            if audio is not None:
                writer.write_audio(audio[index * step : (index + 1) * step])
        if audio is not None:
            writer.write_audio(audio[writer.samples :])
