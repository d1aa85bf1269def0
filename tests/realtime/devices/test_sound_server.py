"""Our microphone in a real PulseAudio daemon, which runs alone, without sound cards, for these tests.

.venv/bin/python -m pytest -q -s -m sound tests/realtime/devices
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tones import RATE, judge, tone

from realtime.devices import pulse
from realtime.devices.api import DeviceError, Fault, Samples
from realtime.devices.pactl import run_pactl, sinks, sources
from realtime.devices.sound import Loudspeaker, Microphone, has_sound_server
from realtime.devices.virtual_microphone import SOURCE, PulseMicrophone, VirtualMicrophone

pytestmark = pytest.mark.sound

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    if shutil.which("pulseaudio") is None or shutil.which("pactl") is None or not pulse.available():
        pytest.skip("apt-get install --no-install-recommends pulseaudio pulseaudio-utils")
    # A socket's path has 107 characters: pytest's own folders are too deep.
    folder = Path("/tmp") / f"lipline-pulse-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for name in ("XDG_RUNTIME_DIR", "HOME", "XDG_CONFIG_HOME", "PULSE_RUNTIME_PATH"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.delenv("PULSE_SERVER", raising=False)
    command = ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=60", "--log-level=error"]
    # The sockets of the module, and a card's stand-in.
    command += ["--load=module-native-protocol-unix", "--load=module-null-sink sink_name=speaker rate=48000"]
    daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: (folder / "native").exists() or (folder / "pulse" / "native").exists())
        wait_for(has_sound_server)
        yield daemon
    finally:
        daemon.terminate()
        daemon.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(true: Callable[[], bool], seconds: float = 15.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def play_tone(speaker: VirtualMicrophone, blocks: int) -> None:
    started = time.monotonic()
    for index in range(blocks):
        speaker.put(tone(index))
        time.sleep(max(0.0, started + (index + 1) * 0.02 - time.monotonic()))


def test_a_tone_reaches_whoever_chooses_lipline_as_microphone(server: subprocess.Popen[bytes]) -> None:
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
    # PulseAudio's null sink has played two seconds of silence ahead when it is new.
    wait_for(lambda: len(heard) > 5)
    play_tone(speaker, 100)
    print(f"\n  latency {speaker.latency_ms:.0f} ms, underruns {speaker.underruns}")
    microphone.close()
    speaker.close()
    samples = np.concatenate(heard).astype(float)
    begin = int(np.argmax(np.abs(samples) > 1000.0)) + RATE // 4
    amplitude, clean = judge(samples[begin : begin + RATE])
    print(f"  amplitude {amplitude:.0f} of 16000, {clean:.0%} clean, stamps {np.median(np.diff(stamps)):.2f} ms apart")
    assert amplitude == pytest.approx(16_000.0, rel=0.02)
    # A busy machine may miss a block now and then.
    assert clean >= 0.8
    assert np.median(np.diff(stamps)) == pytest.approx(20.0, abs=1.0)
    assert all(node.owner == "" for node in (*sources(), *sinks())), "we left something behind"
    assert [node.name for node in sinks()] == ["speaker"]


def test_what_a_killed_run_left_is_taken_away_by_the_next(server: subprocess.Popen[bytes]) -> None:
    code = (
        "import os, signal; from realtime.devices.virtual_microphone import PulseMicrophone; "
        "PulseMicrophone(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert SOURCE in [node.name for node in sources()]
    made = PulseMicrophone()
    assert [node.owner for node in sources() if node.name == SOURCE] == [made._owner]
    with pytest.raises(DeviceError, match="another lipline"):
        PulseMicrophone()
    made.close()
    assert [node.name for node in sinks()] == ["speaker"]


def test_our_microphone_leaves_when_the_program_ends(server: subprocess.Popen[bytes]) -> None:
    code = (
        "from realtime.devices.virtual_microphone import PulseMicrophone; made = PulseMicrophone(); raise SystemExit(3)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 3
    assert [node.name for node in sinks()] == ["speaker"]


def test_names_that_another_program_has_are_left_to_it(server: subprocess.Popen[bytes]) -> None:
    number = run_pactl(["load-module", "module-null-sink", "sink_name=lipline"]).strip()
    with pytest.raises(DeviceError, match=f"pactl unload-module {number}"):
        PulseMicrophone()
    assert "lipline" in [node.name for node in sinks()]


def test_a_missing_device_and_a_dead_server_are_told(server: subprocess.Popen[bytes]) -> None:
    with pytest.raises(DeviceError) as missing:
        pulse.PulseReading("nowhere")
    assert missing.value.fault is Fault.MISSING
    with pytest.raises(DeviceError, match="no microphone 'Yeti'"):
        Microphone("Yeti").start(lambda block, captured_ms: None)
    with pytest.raises(DeviceError, match="there is no microphone: plug one in"):
        Microphone().start(lambda block, captured_ms: None)
    lost: list[DeviceError] = []
    speaker = Loudspeaker("speaker", open_writing=lambda: pulse.PulseWriting("speaker"), on_lost=lost.append)
    server.terminate()
    server.wait(10)
    wait_for(lambda: len(lost) > 0)
    speaker.close()
    assert len(lost) == 1 and not has_sound_server()
    with pytest.raises(DeviceError) as dead:
        pulse.PulseReading("")
    assert dead.value.fault is Fault.NOT_SET_UP
