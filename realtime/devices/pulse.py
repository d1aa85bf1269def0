"""Sound through PulseAudio, or PipeWire's PulseAudio server: libpulse-simple, bound by hand. 48 kHz mono, 20 ms blocks.

Linux distributions package PortAudio for ALSA alone: it cannot name the server's devices. Names and structures are from
`pulse/simple.h` and `pulse/sample.h`.
"""

import ctypes
import ctypes.util
import itertools
import os
import threading
import time
from functools import cache
from typing import Any, Final

import numpy as np

from realtime.devices.api import OUR_NAME, DeviceError, Fault, Samples
from realtime.devices.pactl import SoundNode, connected_to, sinks, sources
from realtime.devices.set_up import install
from realtime.media import AUDIO_RATE, BLOCK_MS, BLOCK_SAMPLES

_PLAYBACK: Final = 1
_RECORD: Final = 2
_S16LE: Final = 3
_BLOCK_BYTES: Final = 2 * BLOCK_SAMPLES
_ANY: Final = 0xFFFF_FFFF
_LOOK_S: Final = 1.0
"""How often it is looked where the server has connected a stream: it tells nobody when it moves one."""
_NO_ENTITY: Final = 5
_REASONS: Final = {1: Fault.DENIED, _NO_ENTITY: Fault.MISSING, 6: Fault.NOT_SET_UP, 11: Fault.NOT_SET_UP}
"""PA_ERR_ACCESS, PA_ERR_NOENTITY, PA_ERR_CONNECTIONREFUSED, PA_ERR_CONNECTIONTERMINATED."""
_numbers = itertools.count(1)


class _Spec(ctypes.Structure):
    _fields_ = (("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8))


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("maxlength", ctypes.c_uint32),
        ("tlength", ctypes.c_uint32),
        ("prebuf", ctypes.c_uint32),
        ("minreq", ctypes.c_uint32),
        ("fragsize", ctypes.c_uint32),
    )


@cache
def _library() -> Any:
    found = ctypes.util.find_library("pulse-simple") or "libpulse-simple.so.0"
    library = ctypes.CDLL(found)
    library.pa_simple_new.restype = ctypes.c_void_p
    library.pa_simple_new.argtypes = [
        ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p,
        ctypes.POINTER(_Spec), ctypes.c_void_p, ctypes.POINTER(_Attributes), ctypes.POINTER(ctypes.c_int),
    ]  # fmt: skip
    for name in ("pa_simple_write", "pa_simple_read"):
        call = getattr(library, name)
        call.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_int)]
        call.restype = ctypes.c_int
    library.pa_simple_free.argtypes = [ctypes.c_void_p]
    library.pa_simple_free.restype = None
    library.pa_simple_get_latency.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_int)]
    library.pa_simple_get_latency.restype = ctypes.c_uint64
    library.pa_strerror.argtypes = [ctypes.c_int]
    library.pa_strerror.restype = ctypes.c_char_p
    return library


def available() -> bool:
    """Return whether libpulse-simple is installed; that does not mean that a server runs."""
    try:
        _library()
    except OSError:
        return False
    return True


def substitute(device: str, label: str, given: SoundNode, *, recording: bool) -> DeviceError | None:
    """Return the fault when the server connected a stream to another device than was asked for; None when it did not.

    Args:
        device: the name that was asked for, "" the default one, which may be any real one.
        label: name of the device for people.
        given: the device that the stream is connected to.
        recording: whether the stream records.
    """
    if not device:
        if recording and (given.owner or given.monitor):
            return DeviceError(Fault.MISSING, "there is no microphone any more: plug one in; until then none is heard")
        return None
    if given.name == device:
        return None
    if device == OUR_NAME:
        return DeviceError(Fault.MISSING, "its device in the sound server was taken away: it is made again")
    does = "does not listen to" if recording else "does not play to"
    real = recording and not given.owner and not given.monitor
    choose = f'--microphone "{given.description}"' if real else "another one"
    return DeviceError(
        Fault.MISSING,
        f"{label} is not there; the sound server gave {given.description} in its place, which lipline {does}: "
        f"plug {label} in again, or choose {choose}",
    )


class _PulseStream:
    """A connection to the sound server, used by one thread; `close` may come from another.

    When a device goes away, PulseAudio and PipeWire move its streams to another device, those of a microphone even to
    what a loudspeaker plays; PipeWire does so from the start when the device is missing. Here that is an error.
    """

    def __init__(self, direction: int, device: str, label: str, what: str, attributes: _Attributes) -> None:
        error = ctypes.c_int()
        spec = _Spec(_S16LE, AUDIO_RATE, 1)
        self._device, self._name = device, label or device or "the default sound device"
        self._recording = direction == _RECORD
        self._title = f"{what} {next(_numbers)}"
        handle = _library().pa_simple_new(
            None, OUR_NAME.encode(), direction, device.encode() or None, self._title.encode(),
            ctypes.byref(spec), None, ctypes.byref(attributes), ctypes.byref(error),
        )  # fmt: skip
        if not handle:
            # PipeWire says "Input/Output error" where it has no device to give in place of one that is not there.
            raise self._fault(_NO_ENTITY if self._absent() else error.value, self._name)
        self._handle: int | None = handle
        self._busy = threading.Lock()
        self._closed = threading.Event()
        self._right = -1
        self._moved = self._look()
        if self._moved is not None:
            self.close()
            raise self._moved
        threading.Thread(target=self._keep_looking, name=f"place of {self._title}", daemon=True).start()

    def _absent(self) -> bool:
        known = [node.name for node in self._nodes()]
        return self._device != "" and bool(known) and self._device not in known

    def _nodes(self) -> list[SoundNode]:
        try:
            return sources() if self._recording else sinks()
        except DeviceError:  # the stream itself will say so
            return []

    def _look(self) -> DeviceError | None:
        try:
            index = connected_to(self._title, os.getpid(), recording=self._recording)
            if index in (-1, self._right):
                return None
        except DeviceError:
            return None
        given = next((node for node in self._nodes() if node.index == index), None)
        if given is None:
            return None
        wrong = substitute(self._device, self._name, given, recording=self._recording)
        if wrong is None:
            self._right = index
        return wrong

    def _keep_looking(self) -> None:
        while self._moved is None and not self._closed.wait(_LOOK_S):
            self._moved = self._look()

    @staticmethod
    def _fault(number: int, name: str) -> DeviceError:
        said = (_library().pa_strerror(number) or b"?").decode()
        fault = _REASONS.get(number, Fault.FAILED)
        if fault is Fault.MISSING:
            return DeviceError(fault, f"there is no sound device {name}: `pactl list short` names those that are there")
        if fault is Fault.NOT_SET_UP:
            return DeviceError(fault, f"no sound server answers ({said}): systemctl --user start pipewire-pulse")
        return DeviceError(fault, f"{name} cannot be used ({said}): see `pactl info`")

    def _transfer(self, call: Any, data: Any) -> None:
        error = ctypes.c_int()
        with self._busy:
            if self._handle is None:
                raise DeviceError(Fault.FAILED, f"{self._name} is closed")
            failed = call(self._handle, data, _BLOCK_BYTES, ctypes.byref(error)) < 0
        if failed:
            raise self._fault(error.value, self._name)
        if self._moved is not None:
            raise self._moved

    def latency_ms(self) -> float:
        """Return the latency of the stream in ms as the server gives it; 0 when it gives none."""
        error = ctypes.c_int()
        with self._busy:
            if self._handle is None:
                return 0.0
            micros = int(_library().pa_simple_get_latency(self._handle, ctypes.byref(error)))
        return micros / 1000.0 if error.value == 0 and micros < 1 << 62 else 0.0

    def close(self) -> None:
        """End the connection once the call in progress has returned. Idempotent."""
        self._closed.set()
        if self._busy.acquire(timeout=2.0):
            try:
                if self._handle is not None:
                    _library().pa_simple_free(self._handle)
                    self._handle = None
            finally:
                self._busy.release()


class PulseReading(_PulseStream):
    """Record from a source of the sound server: its name as pactl shows it, "" the default one."""

    def __init__(self, device: str = "", label: str = "") -> None:
        """Connect; raises DeviceError when there is no such source or no server. `label` is what people call it."""
        _ready()
        super().__init__(_RECORD, device, label, "microphone", _Attributes(_ANY, _ANY, _ANY, _ANY, _BLOCK_BYTES))
        self.name = device or "default"

    def read(self) -> tuple[Samples, float] | None:
        """Wait for the next block; return it with the monotonic time in ms of its first sample."""
        data = ctypes.create_string_buffer(_BLOCK_BYTES)
        self._transfer(_library().pa_simple_read, data)
        now_ms = time.monotonic() * 1000.0
        # What the server has not yet handed over was recorded after this block.
        latency_ms = min(self.latency_ms(), 500.0)
        return np.frombuffer(data.raw, np.int16).copy(), now_ms - latency_ms - BLOCK_MS


class PulseWriting(_PulseStream):
    """Play to a sink of the sound server: its name as pactl shows it, "" the default one."""

    BUFFER_MS: Final = 40.0

    def __init__(self, device: str = "", label: str = "") -> None:
        """Connect; raises DeviceError when there is no such sink or no server. `label` is what people call it."""
        _ready()
        target = int(self.BUFFER_MS / BLOCK_MS) * _BLOCK_BYTES
        attributes = _Attributes(2 * target, target, target, _BLOCK_BYTES, _ANY)
        super().__init__(_PLAYBACK, device, label, "speech", attributes)
        self.name = device or "default"

    def write(self, block: Samples) -> None:
        """Play (960,) int16 samples; waits for the server's clock."""
        self._transfer(_library().pa_simple_write, np.ascontiguousarray(block, np.int16).tobytes())


def _ready() -> None:
    if not available():
        raise DeviceError(Fault.NOT_SET_UP, f"libpulse-simple is missing: {install('libpulse0')}")
    # A server is never started behind somebody's back.
    os.environ.setdefault("PULSE_NO_SPAWN", "1")
