"""Microphone and loudspeaker of a local call: by the sound server on Linux, by PortAudio elsewhere."""

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from realtime.devices.api import DeviceError, Fault, OnBlock, OnLost, Samples, check_block
from realtime.devices.soundqueue import SoundQueue
from realtime.devices.watch import Reading, Restarted, WatchThreads

Heard = tuple[Samples, float]


class Writing(Protocol):
    """An opened device that plays."""

    def write(self, block: Samples) -> None:
        """Play (960,) int16 samples, waiting for the device's clock; raises DeviceError when it is gone."""

    def latency_ms(self) -> float:
        """Return the time in ms until a block written now is heard."""

    def close(self) -> None:
        """Let go of it. Idempotent."""


class Microphone:
    """A `SoundSource` that records a microphone on threads of its own and finds it again after it was unplugged.

    Attributes:
        name: name of the microphone; "" is the default one.
    """

    DEPTH = 25
    """Blocks that wait for a slow listener: 0.5 s, then the oldest go."""

    def __init__(
        self,
        name: str = "",
        *,
        open_reading: Callable[[], Reading[Heard]] | None = None,
    ) -> None:
        self.name = name
        self._open = open_reading or (lambda: open_reading_of(name))
        self._threads: WatchThreads[Heard] = WatchThreads(self.DEPTH, patience_s=2.0)

    @property
    def overruns(self) -> int:
        """Number of blocks that were dropped because the listener was slow."""
        return self._threads.dropped

    @property
    def outages(self) -> int:
        """Number of times that sound stopped coming."""
        return self._threads.outages

    def start(self, on_block: OnBlock, on_lost: OnLost | None = None) -> None:
        """Open the microphone and begin; raises DeviceError when it cannot be opened."""
        if self._threads.started:
            raise RuntimeError("a microphone is started once")
        self._threads.start(
            self._open(),
            self._open,
            lambda heard: on_block(*heard),
            on_lost,
            name=self.name or "the microphone",
            threads=("microphone", "microphone blocks"),
        )

    def close(self) -> None:
        """Stop and let go of the microphone. Idempotent."""
        self._threads.close()


class Loudspeaker:
    """An `AudioSink` that plays blocks to a device on a thread of its own, at the device's own clock.

    Blocks come at the microphone's rate and leave at the loudspeaker's: the queue between them is read a little faster
    or slower. While the device is away, sound is dropped, and the device is looked for every second.
    """

    RETRY_S = 1.0

    def __init__(
        self,
        name: str = "",
        *,
        open_writing: Callable[[], Writing] | None = None,
        on_lost: OnLost | None = None,
    ) -> None:
        """Open the loudspeaker `name`, "" the default one; raises DeviceError when it cannot be opened."""
        self.name = name
        self._open = open_writing or (lambda: open_writing_of(name))
        self._on_lost = on_lost
        self._queue = SoundQueue()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._writing: Writing | None = self._open()
        self._thread = threading.Thread(target=self._play, name="loudspeaker", daemon=True)
        self._thread.start()

    @property
    def underruns(self) -> int:
        """Number of times that there was no sound to play."""
        return self._queue.underruns

    @property
    def overruns(self) -> int:
        """Number of blocks that were dropped because the device played too slowly."""
        return self._queue.overruns

    @property
    def latency_ms(self) -> float:
        """Time until sound that is put now is heard, in ms."""
        writing = self._writing
        return self._queue.fill_ms + (writing.latency_ms() if writing is not None else 0.0)

    def put(self, block: Samples) -> None:
        """Add (960,) int16 samples; never waits for the device."""
        check_block(block)
        with self._lock:
            self._queue.put(block)

    def close(self) -> None:
        """Stop and let go of the device. Idempotent."""
        self._closed.set()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)

    def _play(self) -> None:
        told = False
        while not self._closed.is_set():
            try:
                if self._writing is None:
                    self._writing = self._open()
                with self._lock:
                    block = self._queue.take()
                self._writing.write(block)
                told = False
            except Restarted:
                self._shut()
            except DeviceError as error:
                self._shut()
                if not told and self._on_lost is not None:
                    self._on_lost(error)
                told = True
                self._closed.wait(self.RETRY_S)
        self._shut()

    def _shut(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None


def has_sound_server() -> bool:
    """Return whether PulseAudio, or PipeWire in its place, answers."""
    from realtime.devices import pulse
    from realtime.devices.pactl import run_pactl

    if not sys.platform.startswith("linux") or not pulse.available():
        return False
    with suppress(DeviceError):
        run_pactl(["info"])
        return True
    return False


def open_reading_of(name: str) -> Reading[Heard]:
    """Open a microphone by name or part of it, "" the default one; raises DeviceError."""
    if has_sound_server():
        from realtime.devices.pactl import find_node, sources
        from realtime.devices.pulse import PulseReading

        if not name:
            return PulseReading(_default_source())
        node = find_node(sources(), name, "microphone")
        return PulseReading(node.name, node.description)
    from realtime.devices.portaudio import PortAudioReading

    return PortAudioReading(name)


def _default_source() -> str:
    """Return "", the server's default, or the name of a real microphone where the default is our own."""
    from realtime.devices.pactl import run_pactl, sources

    default = run_pactl(["get-default-source"]).strip()
    known = sources()
    if not any(node.name == default and (node.owner or node.monitor) for node in known):
        return ""
    real = [node.name for node in known if not node.owner and not node.monitor]
    if not real:
        raise DeviceError(Fault.MISSING, "there is no microphone: plug one in, or name one with --microphone")
    return real[0]


def open_writing_of(name: str) -> Writing:
    """Open a loudspeaker by name or part of it, "" the default one; raises DeviceError."""
    if has_sound_server():
        from realtime.devices.pactl import find_node, sinks
        from realtime.devices.pulse import PulseWriting

        if not name:
            return PulseWriting()
        node = find_node(sinks(), name, "loudspeaker")
        return PulseWriting(node.name, node.description)
    from realtime.devices.portaudio import PortAudioWriting

    return PortAudioWriting(name)
