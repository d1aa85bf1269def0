"""PortAudio's streams: channels, blocks and their times, devices that are listed anew. A stand-in for sounddevice."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from realtime.devices import portaudio
from realtime.devices.api import DeviceError, Fault
from realtime.devices.watch import Restarted


class Stream:
    def __init__(self, sound: "Sound", **options: Any) -> None:
        if options["channels"] not in sound.takes:
            raise Sound.PortAudioError("Error opening stream: Invalid number of channels [PaErrorCode -9998]")
        self.options, self.active, self.latency = options, False, 0.06
        sound.streams.append(self)

    def start(self) -> None:
        self.active = True

    def close(self, ignore_errors: bool = True) -> None:
        self.active = False

    def call(self, data: Any, adc: float = 0.0, now: float = 0.0, overflow: bool = False) -> None:
        times = SimpleNamespace(inputBufferAdcTime=adc, currentTime=now)
        self.options["callback"](data, 960, times, SimpleNamespace(input_overflow=overflow))


class Sound:
    """Behave as `sounddevice` does."""

    class PortAudioError(Exception):
        pass

    def __init__(self, *names: str) -> None:
        self.names, self.later = list(names), list(names)
        self.takes = {1, 2}
        self.streams: list[Stream] = []

    def query_devices(self, index: int | None = None, kind: str | None = None) -> Any:
        listed = [
            {"name": name, "max_input_channels": 2, "max_output_channels": 2, "hostapi": 0} for name in self.names
        ]
        return listed if kind is None else listed[index or 0]

    def query_hostapis(self, index: int) -> dict[str, str]:
        return {"name": "ALSA"}

    def RawInputStream(self, **options: Any) -> Stream:  # noqa: N802
        return Stream(self, **options)

    RawOutputStream = RawInputStream

    def _terminate(self) -> None:
        self.names = []

    def _initialize(self) -> None:
        self.names = self.later


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> Sound:
    made = Sound("Yeti (hw:1,0)")
    monkeypatch.setattr(portaudio, "_sounddevice", lambda: made)
    monkeypatch.setattr(portaudio, "_restarted_s", -1e9)
    return made


def test_blocks_carry_the_time_of_their_first_sample(sound: Sound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.devices.portaudio.time.monotonic", lambda: 500.0)
    reading = portaudio.PortAudioReading("yeti")
    samples = np.arange(960, dtype=np.int16)
    sound.streams[0].call(samples.tobytes(), adc=7.0, now=7.055)
    sound.streams[0].call(samples.tobytes(), adc=0.0, now=7.055)
    first, second = reading.read(), reading.read()
    assert first is not None and second is not None
    assert np.array_equal(first[0], samples)
    assert first[1] == pytest.approx(500_000.0 - 55.0)
    assert second[1] == pytest.approx(500_000.0 - 20.0), "a device that gives no time"


def test_a_device_that_refuses_one_channel_is_opened_with_two(sound: Sound) -> None:
    sound.takes = {2}
    reading, writing = portaudio.PortAudioReading("Yeti"), portaudio.PortAudioWriting("Yeti")
    stereo = np.stack([np.full(960, 100, np.int16), np.full(960, 300, np.int16)], axis=1)
    sound.streams[0].call(stereo.tobytes())
    given = reading.read()
    assert given is not None and set(given[0].tolist()) == {200}
    writing.write(np.arange(960, dtype=np.int16))
    played = bytearray(960 * 4)
    sound.streams[1].call(memoryview(played))
    assert np.frombuffer(played, np.int16)[:6].tolist() == [0, 0, 1, 1, 2, 2]


def test_a_device_that_takes_neither_is_told(sound: Sound) -> None:
    sound.takes = set()
    with pytest.raises(DeviceError, match="set it to 48000 Hz") as caught:
        portaudio.PortAudioReading("Yeti")
    assert caught.value.fault is Fault.FORMAT


def test_a_slow_reader_loses_the_oldest_and_it_is_counted(sound: Sound) -> None:
    reading = portaudio.PortAudioReading()
    for index in range(12):
        sound.streams[0].call(np.full(960, index, np.int16).tobytes(), overflow=index == 0)
    given = reading.read()
    assert given is not None and given[0][0] == 2 and reading.faults == 3


def test_silence_is_played_when_there_is_nothing(sound: Sound) -> None:
    writing = portaudio.PortAudioWriting()
    played = bytearray(b"\1" * 1920)
    sound.streams[0].call(memoryview(played))
    assert not any(played) and writing.faults == 0
    writing.write(np.ones(960, np.int16))
    assert writing.latency_ms() == pytest.approx(80.0)
    sound.streams[0].call(memoryview(played))
    sound.streams[0].call(memoryview(played))
    assert writing.faults == 1


def test_devices_are_listed_anew_for_one_that_came_later(sound: Sound) -> None:
    speaker = portaudio.PortAudioReading("Yeti")
    sound.later = ["Yeti (hw:2,0)", "BlackHole 2ch"]
    found = portaudio.PortAudioReading("BlackHole")
    assert found.name == "BlackHole 2ch"
    with pytest.raises(Restarted):
        speaker.read()
    # Not again at once: each time interrupts all that plays.
    with pytest.raises(DeviceError, match="no microphone 'Rode'"):
        portaudio.PortAudioReading("Rode")
    assert portaudio.PortAudioReading("Yeti (hw:1,0)").name == "Yeti (hw:2,0)"


def test_a_device_that_was_unplugged_is_told(sound: Sound) -> None:
    reading = portaudio.PortAudioReading("Yeti")
    sound.streams[0].active = False
    with pytest.raises(DeviceError, match="was unplugged") as caught:
        reading.read()
    assert caught.value.fault is Fault.MISSING and not isinstance(caught.value, Restarted)
    reading.close()
    reading.close()
