"""Sound devices by PortAudio (`sounddevice`): macOS, Windows, and ALSA where no sound server runs."""

import queue
import re
import sys
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np

from realtime.devices import set_up
from realtime.devices.api import DeviceError, Fault, Samples
from realtime.devices.holders import held_by
from realtime.devices.watch import Restarted
from realtime.media import AUDIO_RATE, BLOCK_MS, BLOCK_SAMPLES

_WAITING: Final = 10
"""Blocks that may wait between PortAudio's thread and ours: 200 ms."""
_RESTART_S: Final = 5.0
_LATENCY_S: Final = 0.06
"""Three blocks: PortAudio's thread must get Python's lock for each, beside the filter's work."""

_lock = threading.RLock()
_open: "weakref.WeakSet[_Stream]" = weakref.WeakSet()
_restarted_s = -_RESTART_S


def _sounddevice() -> Any:
    try:
        import sounddevice
    except (ModuleNotFoundError, OSError) as error:
        raise DeviceError(Fault.NOT_SET_UP, f"sounddevice or PortAudio is missing: {set_up.portaudio()}") from error
    return sounddevice


def steady_name(name: str) -> str:
    """Return a device's name without its card's number, which changes with each plugging in."""
    return re.sub(r"\(hw:\d+,", "(hw:*,", name)


def find_sound(devices: Sequence[dict[str, Any]], wanted: str, kind: str) -> int:
    """Return the index of the device that is meant.

    Args:
        devices: as `sounddevice.query_devices` gives them.
        wanted: a name, or part of one; card numbers do not count.
        kind: "input" or "output".

    Raises:
        DeviceError: there is none.
    """
    usable = [(index, str(d["name"])) for index, d in enumerate(devices) if int(d[f"max_{kind}_channels"]) > 0]
    steady = steady_name(wanted)
    for fits in (
        lambda name: name == wanted,
        lambda name: steady_name(name) == steady,
        lambda name: steady.lower() in steady_name(name).lower(),
    ):
        found = [index for index, name in usable if fits(name)]
        if found:
            return found[0]
    there = ", ".join(sorted({name for _, name in usable})) or "none"
    what = "microphone" if kind == "input" else "loudspeaker"
    raise DeviceError(Fault.MISSING, f"there is no {what} {wanted!r}: plug it in, or choose of: {there}")


def _look_up(sounddevice: Any, wanted: str, kind: str) -> int | None:
    """Find a device, letting PortAudio list them anew when it is not among those known."""
    if not wanted:
        return None
    try:
        return find_sound(list(sounddevice.query_devices()), wanted, kind)
    except DeviceError:
        if not _restart(sounddevice):
            raise
    return find_sound(list(sounddevice.query_devices()), wanted, kind)


def _restart(sounddevice: Any) -> bool:
    """Restart PortAudio, which lists devices only as it begins; open streams are opened again."""
    global _restarted_s
    with _lock:
        if time.monotonic() - _restarted_s < _RESTART_S:
            return False
        for stream in list(_open):
            stream.interrupt()
        # The only way there is; sounddevice itself recommends it.
        sounddevice._terminate()
        sounddevice._initialize()
        _restarted_s = time.monotonic()
    return True


def open_fault(name: str, text: str) -> DeviceError:
    """Return one line that says why PortAudio could not open a device, and the remedy."""
    what = name or "the default sound device"
    if "unavailable" in text or "busy" in text.lower():
        who = held_by([str(path) for path in _pcm_nodes()])
        return DeviceError(Fault.BUSY, f"{what} is in use by {who}: close it, or choose another device")
    if "sample rate" in text or "channels" in text:
        remedy = "set it to 48000 Hz in the system's sound settings, or choose another device"
        return DeviceError(Fault.FORMAT, f"{what} gives no 48 kHz mono ({text}): {remedy}")
    if "querying device" in text or "Invalid device" in text:
        return DeviceError(Fault.MISSING, f"there is no sound device {what} ({text}): plug one in")
    return DeviceError(Fault.FAILED, f"{what} cannot be opened ({text}): unplug it and plug it in again")


def _pcm_nodes() -> list[Any]:
    from pathlib import Path

    return sorted(Path("/dev/snd").glob("pcm*")) if sys.platform.startswith("linux") else []


class _Stream(ABC):
    """A PortAudio stream, in what recording and playing have in common."""

    def __init__(self, wanted: str, kind: str) -> None:
        sounddevice = _sounddevice()
        make = sounddevice.RawInputStream if kind == "input" else sounddevice.RawOutputStream
        self.faults = 0
        self._blocks: queue.Queue[Samples | tuple[Samples, float]] = queue.Queue(_WAITING)
        self._interrupted = False
        with _lock:
            index = _look_up(sounddevice, wanted, kind)
            try:
                described = sounddevice.query_devices(index, kind)
                self.name = str(described["name"])
                self._stream = self._begin(sounddevice, make, index, described, kind)
            except (sounddevice.PortAudioError, ValueError) as error:
                raise open_fault(wanted, " ".join(str(error).split())) from error
            _open.add(self)

    def _begin(self, sounddevice: Any, make: Any, index: int | None, described: dict[str, Any], kind: str) -> Any:
        """Open and start a stream of one channel, of two where the device refuses one: PortAudio does not mix."""
        most = min(2, int(described[f"max_{kind}_channels"]))
        for self._channels in range(1, most + 1):
            try:
                stream = make(
                    samplerate=AUDIO_RATE, blocksize=BLOCK_SAMPLES, device=index, channels=self._channels,
                    dtype="int16", latency=_LATENCY_S, callback=self._called,
                    extra_settings=_settings(sounddevice, described),
                )  # fmt: skip
                stream.start()
                return stream
            except sounddevice.PortAudioError as error:
                if self._channels == most or "channels" not in str(error):
                    raise
        raise ValueError("Invalid device: it has no channels")

    @abstractmethod
    def _called(self, data: Any, frames: int, times: Any, status: Any) -> None:
        """Read or write one block, on PortAudio's own thread."""

    def _check(self) -> None:
        if self._interrupted:
            raise Restarted(Fault.STALLED, f"{self.name} is opened anew")
        if not self._stream.active:
            raise DeviceError(Fault.MISSING, f"{self.name} was unplugged: plug it in again")

    def interrupt(self) -> None:
        """Stop the stream, so that it is opened again."""
        self._interrupted = True
        self._shut()

    def close(self) -> None:
        """Let go of the device. Idempotent."""
        with _lock:
            _open.discard(self)
            if not self._interrupted:
                self._shut()

    def _shut(self) -> None:
        with suppress(Exception):  # PortAudio's own error type, and nothing can be done about it
            self._stream.close(ignore_errors=True)


def _settings(sounddevice: Any, described: dict[str, Any]) -> Any:
    """Return the settings with which WASAPI converts between the device's rate and ours; None elsewhere."""
    interface = sounddevice.query_hostapis(described["hostapi"])["name"]
    return sounddevice.WasapiSettings(auto_convert=True) if interface == "Windows WASAPI" else None


class PortAudioReading(_Stream):
    """Record from a device; `faults` counts blocks that were lost."""

    def __init__(self, name: str = "") -> None:
        """Open the microphone `name`, "" the default one; raises DeviceError."""
        super().__init__(name, "input")

    def _called(self, data: Any, frames: int, times: Any, status: Any) -> None:
        now_ms = time.monotonic() * 1000.0
        age_ms = (times.currentTime - times.inputBufferAdcTime) * 1000.0
        captured_ms = now_ms - (age_ms if BLOCK_MS / 2 <= age_ms < 1000.0 else BLOCK_MS)
        samples = np.frombuffer(data, np.int16).reshape(-1, self._channels)
        block = samples[:, 0].copy() if self._channels == 1 else samples.mean(axis=1).astype(np.int16)
        self.faults += bool(status.input_overflow)
        if self._blocks.full():
            self.faults += 1
            with suppress(queue.Empty):
                self._blocks.get_nowait()
        self._blocks.put_nowait((block, captured_ms))

    def read(self) -> tuple[Samples, float] | None:
        """Wait up to 0.1 s for the next block; return it with the monotonic time in ms of its first sample."""
        try:
            given = self._blocks.get(timeout=0.1)
        except queue.Empty:
            self._check()
            return None
        assert isinstance(given, tuple)
        return given


class PortAudioWriting(_Stream):
    """Play to a device; `faults` counts blocks that came too late."""

    AHEAD: Final = 2
    """Blocks handed over before they are due: 40 ms."""

    def __init__(self, name: str = "") -> None:
        """Open the loudspeaker `name`, "" the default one; raises DeviceError."""
        self._room = threading.Semaphore(self.AHEAD)
        self._begun = False
        super().__init__(name, "output")

    def _called(self, data: Any, frames: int, times: Any, status: Any) -> None:
        try:
            given = self._blocks.get_nowait()
        except queue.Empty:
            data[:] = bytes(len(data))
            self.faults += self._begun
            return
        self._begun = True
        assert isinstance(given, np.ndarray)
        data[:] = (given if self._channels == 1 else np.repeat(given, self._channels)).tobytes()
        self._room.release()

    def write(self, block: Samples) -> None:
        """Play (960,) int16 samples; waits for the device's clock."""
        if not self._room.acquire(timeout=0.5):
            self._check()
            raise DeviceError(Fault.STALLED, f"{self.name} plays nothing any more: unplug it and plug it in again")
        self._blocks.put_nowait(np.ascontiguousarray(block, np.int16))

    def latency_ms(self) -> float:
        """Return the time in ms until a block written now is heard."""
        return self._blocks.qsize() * BLOCK_MS + float(self._stream.latency) * 1000.0
