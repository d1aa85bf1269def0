"""Our microphone in a real PulseAudio and a real PipeWire, which run alone, without sound cards, for these tests.

.venv/bin/python -m pytest -q -s -m sound tests/realtime/devices
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tones import RATE, judge, tone

from realtime.devices import pulse
from realtime.devices.api import DeviceError, Fault, Samples
from realtime.devices.pactl import run_pactl, sinks, sources
from realtime.devices.sound import Heard, Loudspeaker, Microphone, has_sound_server, open_reading_of
from realtime.devices.virtual_microphone import SINK, SOURCE, PulseMicrophone, VirtualMicrophone, owner_mark
from realtime.devices.watch import Reading

pytestmark = pytest.mark.sound

ROOT = Path(__file__).resolve().parents[3]


class Server:
    """A sound server that runs alone, in a folder and a process group of its own."""

    SCRIPTS = {
        "pulseaudio": "exec pulseaudio -n --daemonize=no --use-pid-file=no --exit-idle-time=60 "
        "--load=module-native-protocol-unix",
        "pipewire": "exec dbus-run-session -- sh -c 'pipewire & "
        'until [ -S "$XDG_RUNTIME_DIR/pipewire-0" ]; do sleep 0.02; done; '
        "wireplumber & exec pipewire-pulse'",
    }
    NEEDS = {
        "pulseaudio": ("pulseaudio",),
        "pipewire": ("pipewire", "wireplumber", "pipewire-pulse", "dbus-run-session"),
    }

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._process = subprocess.Popen(
            ["sh", "-c", self.SCRIPTS[kind]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self) -> None:
        """End it; idempotent."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(90)
        # What the shell began may outlive it by a moment.
        wait_for(lambda: not has_sound_server())


@pytest.fixture(params=["pulseaudio", "pipewire"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    if shutil.which("pactl") is None or not pulse.available():
        pytest.skip("apt-get install --no-install-recommends pulseaudio-utils")
    if any(shutil.which(program) is None for program in Server.NEEDS[request.param]):
        packages = {"pulseaudio": "pulseaudio", "pipewire": "pipewire pipewire-pulse wireplumber dbus"}
        pytest.skip(f"apt-get install --no-install-recommends {packages[request.param]}")
    # A socket's path has 107 characters: pytest's own folders are too deep.
    folder = Path("/tmp") / f"lipline-sound-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for name in ("XDG_RUNTIME_DIR", "HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(folder))
    for name in ("PULSE_SERVER", "PULSE_RUNTIME_PATH", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    made = Server(request.param)
    try:
        wait_for(has_sound_server)
        # A card's stand-in.
        run_pactl(["load-module", "module-null-sink", "sink_name=speaker"])
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def names() -> set[str]:
    return {node.name for node in (*sources(), *sinks())}


def wait_for(true: Callable[[], bool], seconds: float = 90.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def play_tone(speaker: VirtualMicrophone, blocks: int, first: int = 0) -> None:
    started = time.monotonic()
    for index in range(blocks):
        speaker.put(tone(first + index))
        time.sleep(max(0.0, started + (index + 1) * 0.02 - time.monotonic()))


def best_second(samples: NDArray[np.float64]) -> tuple[float, float]:
    """Return amplitude and share without holes of the cleanest second of what was heard of a tone."""
    loud = np.flatnonzero(np.abs(samples) > 1000.0)
    begin = int(loud[0]) + RATE // 4 if loud.size else len(samples)
    judged = [judge(samples[at : at + RATE]) for at in range(begin, len(samples) - RATE + 1, RATE // 4)]
    return max(judged, key=lambda found: found[1], default=(0.0, 0.0))


class Tries:
    """Open a microphone as `Microphone` itself does, and count how often."""

    def __init__(self, name: str = "") -> None:
        self.name, self.count = name, 0

    def __call__(self) -> Reading[Heard]:
        self.count += 1
        return open_reading_of(self.name)


def test_a_tone_reaches_whoever_chooses_lipline_as_microphone(server: Server) -> None:
    speaker = VirtualMicrophone()
    made = [node for node in sources() if node.name == SOURCE]
    assert [node.description for node in made] == ["lipline"] == [speaker.name]
    heard: list[Samples] = []
    stamps: list[float] = []

    def on_block(block: Samples, captured_ms: float) -> None:
        heard.append(block)
        stamps.append(captured_ms)

    # Another program's view: the source by its own name.
    microphone = Microphone(open_reading=lambda: pulse.PulseReading(SOURCE))
    microphone.start(on_block)
    # PulseAudio's null sink, when it is new, has played two seconds of silence ahead.
    wait_for(lambda: len(heard) > 5)
    # The server plays at its own pace: where a busy machine falls short of it, what follows is heard.
    for second in range(90):
        play_tone(speaker, 50, 50 * second)
        amplitude, clean = best_second(np.concatenate(heard).astype(float))
        if clean >= 0.8:
            break
    print(f"\n  latency {speaker.latency_ms:.0f} ms, underruns {speaker.underruns}")
    microphone.close()
    speaker.close()
    print(f"  amplitude {amplitude:.0f} of 16000, {clean:.0%} clean, stamps {np.median(np.diff(stamps)):.2f} ms apart")
    assert amplitude == pytest.approx(16_000.0, rel=0.02)
    # A busy machine may miss a block now and then.
    assert clean >= 0.8
    assert np.median(np.diff(stamps)) == pytest.approx(20.0, abs=1.0)
    assert all(node.owner == "" for node in (*sources(), *sinks())), "we left something behind"
    assert "speaker" in names() and not names() & {SINK, SOURCE}


def test_what_a_killed_run_left_is_taken_away_by_the_next(server: Server) -> None:
    code = (
        "import os, signal; from realtime.devices.virtual_microphone import PulseMicrophone; "
        "PulseMicrophone(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert SOURCE in [node.name for node in sources()]
    made = PulseMicrophone()
    assert [node.owner for node in sources() if node.name == SOURCE] == [owner_mark(os.getpid())]
    with pytest.raises(DeviceError, match="another lipline"):
        PulseMicrophone()
    made.close()
    assert "speaker" in names() and not names() & {SINK, SOURCE}


def test_our_microphone_leaves_when_the_program_ends(server: Server) -> None:
    code = (
        "from realtime.devices.virtual_microphone import PulseMicrophone; made = PulseMicrophone(); raise SystemExit(3)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 3
    assert "speaker" in names() and not names() & {SINK, SOURCE}


def test_names_that_another_program_has_are_left_to_it(server: Server) -> None:
    number = run_pactl(["load-module", "module-null-sink", "sink_name=lipline"]).strip()
    with pytest.raises(DeviceError, match=f"pactl unload-module {number}"):
        PulseMicrophone()
    assert "lipline" in [node.name for node in sinks()]


def plug_in(name: str) -> str:
    """Add a microphone that hears what is played to its own sink; return its module's number."""
    if f"{name}_room" not in names():
        run_pactl(["load-module", "module-null-sink", f"sink_name={name}_room"])
    arguments = [f"source_name={name}", f"master={name}_room.monitor", f"source_properties=device.description={name}"]
    return run_pactl(["load-module", "module-remap-source", *arguments]).strip()


def test_an_unplugged_microphone_is_told_and_no_other_one_is_heard_in_its_place(server: Server) -> None:
    """Both servers go on with another microphone, or with what a loudspeaker plays."""
    yeti, _ = plug_in("Yeti"), plug_in("Webcam")
    run_pactl(["set-default-source", "Webcam"])
    heard: list[Samples] = []
    lost: list[DeviceError] = []
    tries = Tries("Yeti")
    microphone = Microphone("Yeti", open_reading=tries)
    microphone.start(lambda block, captured_ms: heard.append(block), lost.append)
    try:
        wait_for(lambda: len(heard) > 5)
        run_pactl(["unload-module", yeti])
        wait_for(lambda: bool(lost))
        told = str(lost[0])
        assert lost[0].fault is Fault.MISSING
        assert "Yeti is not there" in told and "gave Webcam" in told and '--microphone "Webcam"' in told
        count, tried = len(heard), tries.count
        wait_for(lambda: tries.count >= tried + 3)
        assert len(heard) == count, "another microphone was heard"
        plug_in("Yeti")
        wait_for(lambda: len(heard) > count + 5)
        assert len(lost) == 1
    finally:
        microphone.close()


def test_without_a_name_the_servers_choice_is_heard_but_never_a_loudspeaker(server: Server) -> None:
    yeti, webcam = plug_in("Yeti"), plug_in("Webcam")
    run_pactl(["set-default-source", "Yeti"])
    heard: list[Samples] = []
    lost: list[DeviceError] = []
    tries = Tries()
    microphone = Microphone(open_reading=tries)
    microphone.start(lambda block, captured_ms: heard.append(block), lost.append)
    try:
        wait_for(lambda: len(heard) > 5)
        run_pactl(["unload-module", yeti])
        count = len(heard)
        wait_for(lambda: len(heard) > count + 125)  # 2.5 s: it is looked each second where the server has connected us
        assert not lost
        run_pactl(["unload-module", webcam])
        wait_for(lambda: bool(lost))
        assert "there is no microphone any more" in str(lost[0])
        count, tried = len(heard), tries.count
        wait_for(lambda: tries.count >= tried + 3)
        assert len(heard) == count, "a loudspeaker was heard"
    finally:
        microphone.close()


def test_our_microphone_is_made_again_when_somebody_takes_it_away(server: Server) -> None:
    lost: list[DeviceError] = []
    speaker = VirtualMicrophone(on_lost=lost.append)
    try:
        play_tone(speaker, 5)
        for node in (*sources(), *sinks()):
            if node.name in (SINK, SOURCE) and node.owner:
                run_pactl(["unload-module", str(node.module)])
        wait_for(lambda: bool(lost))
        assert "made again" in str(lost[0]) or "closed" in str(lost[0]) or "terminated" in str(lost[0]), str(lost[0])
        wait_for(lambda: {SINK, SOURCE} <= names())
        play_tone(speaker, 5)
    finally:
        speaker.close()
    assert "speaker" in names() and not names() & {SINK, SOURCE}


def test_a_missing_device_and_a_dead_server_are_told(server: Server) -> None:
    # PipeWire itself gives another device without a word.
    for open_one in (pulse.PulseReading, pulse.PulseWriting):
        with pytest.raises(DeviceError, match="nowhere") as missing:
            open_one("nowhere")
        assert missing.value.fault is Fault.MISSING
    with pytest.raises(DeviceError, match="no microphone 'Yeti'"):
        Microphone("Yeti").start(lambda block, captured_ms: None)
    lost: list[DeviceError] = []
    speaker = Loudspeaker("speaker", open_writing=lambda: pulse.PulseWriting("speaker"), on_lost=lost.append)
    server.stop()
    wait_for(lambda: len(lost) > 0)
    speaker.close()
    assert len(lost) == 1 and not has_sound_server()
    with pytest.raises(DeviceError) as dead:
        pulse.PulseReading("")
    assert dead.value.fault is Fault.NOT_SET_UP
