"""A file's sound in place of a microphone, in real time."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from realtime.devices.api import DeviceError, Fault, OnBlock, OnLost, Samples
from realtime.media import AUDIO_RATE, BLOCK_MS, BLOCK_SAMPLES
from realtime.media_file import MediaError, probe, read_audio_blocks

_SLEPT_MS = 200.0


class FileSound:
    """A `SoundSource` that plays the sound of a file over and over.

    `round_ms` is the length of a round, so that sound and picture of one clip stay together; None is the sound's own.
    """

    def __init__(self, path: str | Path, *, round_ms: float | None = None) -> None:
        """Open a file with sound; raises MediaError where there is none."""
        if not probe(path).has_audio:
            raise MediaError(f"{path} has no audio track: give a file with speech")
        self._path, self._round_ms = path, round_ms
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, on_block: OnBlock, on_lost: OnLost | None = None) -> None:
        """Begin to play."""
        if self._thread is not None:
            raise RuntimeError("a source is started once")
        begin_ms = time.monotonic() * 1000.0
        self._thread = threading.Thread(
            target=self._run, args=(on_block, on_lost, begin_ms), name="file sound", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop. Idempotent."""
        self._closed.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)

    def _run(self, on_block: OnBlock, on_lost: OnLost | None, begin_ms: float) -> None:
        due_ms = begin_ms + BLOCK_MS
        try:
            for block in blocks_of(self._path, self._round_ms):
                wait_ms = due_ms - time.monotonic() * 1000.0
                if self._closed.wait(max(0.0, wait_ms) / 1000.0):
                    return
                on_block(block, due_ms - BLOCK_MS)
                # A machine that slept does not play what it missed.
                due_ms = max(due_ms + BLOCK_MS, time.monotonic() * 1000.0 - _SLEPT_MS)
        except MediaError as error:
            if on_lost is not None:
                on_lost(DeviceError(Fault.FAILED, str(error)))


def blocks_of(path: str | Path, round_ms: float | None) -> Iterator[Samples]:
    """Yield (960,) int16 blocks of a file at 48 kHz without end; each round is `round_ms` long, cut or silent."""
    whole = None if round_ms is None else round(round_ms * AUDIO_RATE / 1000.0)
    rest = np.empty(0, np.float32)
    while True:
        played = 0
        for part in read_audio_blocks(path, AUDIO_RATE):
            part = part if whole is None else part[: whole - played]
            played += part.size
            rest = np.concatenate((rest, part))
            while rest.size >= BLOCK_SAMPLES:
                yield _whole(rest[:BLOCK_SAMPLES])
                rest = rest[BLOCK_SAMPLES:]
        silent = 0 if whole is None else whole - played
        rest = np.concatenate((rest, np.zeros(silent, np.float32)))
        while rest.size >= BLOCK_SAMPLES:
            yield _whole(rest[:BLOCK_SAMPLES])
            rest = rest[BLOCK_SAMPLES:]


def _whole(samples: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> Samples:
    return np.asarray(np.clip(samples * 32768.0, -32768, 32767), np.int16)


def video_round_ms(path: str | Path) -> float:
    """Return the length in ms of a clip's pictures at their mean rate; raises MediaError without any."""
    import av

    info = probe(path)
    if not info.has_video:
        raise MediaError(f"{path} has no video: give a file that shows a face")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        base = float(stream.time_base or 0)
        times = [packet.pts * base for packet in container.demux(stream) if packet.pts is not None]
    return (round((max(times) - min(times)) * info.fps) + 1) * 1000.0 / info.fps
