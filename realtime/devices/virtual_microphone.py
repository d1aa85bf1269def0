"""The microphone that other programs see: a null sink and a remapped source in PulseAudio or PipeWire.

    played sound → sink "lipline" → its monitor → source "lipline_microphone", shown to people as "lipline"

Both carry our mark, so that those of an earlier run are found after a crash, and never another program's. Sinks and
sources share one namespace in PulseAudio, so they cannot both be called "lipline".
"""

import atexit
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from realtime.devices.api import OUR_NAME, DeviceError, Fault, OnLost, Samples
from realtime.devices.pactl import Run, SoundNode, run_pactl, sinks, sources
from realtime.devices.set_up import sound_server

if TYPE_CHECKING:
    from realtime.devices.sound import Writing

SINK: Final = OUR_NAME
SOURCE: Final = f"{OUR_NAME}_microphone"


class PulseMicrophone:
    """Our sink and source in the sound server; removed by `close`, at exit, or by the next run.

    Attributes:
        sink: name of the sink to play to.
        name: name to choose in the other program.
    """

    def __init__(self, run: Run = run_pactl, owner: str = "", proc: Path = Path("/proc")) -> None:
        """Make both.

        Raises:
            DeviceError: no sound server, another lipline runs, or another program uses the names.
        """
        self.sink, self.name = SINK, OUR_NAME
        self._run, self._owner = run, owner or owner_mark(os.getpid(), proc)
        self._open = True
        remove_abandoned(run, proc)
        self._make()
        atexit.register(self.close)

    def restore(self) -> None:
        """Make sink and source again after the server restarted or a person removed them; raises DeviceError."""
        left = [node for node in _marked(self._run) if node.owner == self._owner]
        if self._open and {SINK, SOURCE} - {node.name for node in left}:
            _unload(left, self._run)
            self._make()

    def _make(self) -> None:
        _refuse_taken(self._run)
        try:
            self._load(
                "module-null-sink", f"sink_name={SINK}", "rate=48000", "channels=1",
                f"sink_properties=\"device.description='lipline (for lipline itself)' lipline.owner={self._owner}\"",
            )  # fmt: skip
            self._load(
                "module-remap-source", f"source_name={SOURCE}", f"master={SINK}.monitor", "channels=1",
                f'source_properties="device.description={OUR_NAME} lipline.owner={self._owner}"',
            )  # fmt: skip
        except DeviceError:
            self._remove()
            raise

    def close(self) -> None:
        """Remove both. Idempotent; a server that has ended took them with it."""
        if self._open:
            self._open = False
            atexit.unregister(self.close)
            self._remove()

    def _remove(self) -> None:
        with suppress(DeviceError):
            _unload([node for node in _marked(self._run) if node.owner == self._owner], self._run)

    def _load(self, *arguments: str) -> None:
        self._run(["load-module", *arguments])


def owner_mark(pid: int, proc: Path = Path("/proc")) -> str:
    """Return a mark for a process, "PID.START": process numbers are reused, but with another start time."""
    return f"{pid}.{_started(pid, proc)}"


def _started(pid: int, proc: Path) -> str:
    try:
        # The command may hold spaces and brackets: what follows the last bracket is plain; field 22 is the start.
        return (proc / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return "0"


def alive(mark: str, proc: Path = Path("/proc")) -> bool:
    """Return whether the process that left `mark` still runs."""
    pid, _, started = mark.partition(".")
    return pid.isdigit() and started != "0" and _started(int(pid), proc) == started


def remove_abandoned(run: Run = run_pactl, proc: Path = Path("/proc")) -> int:
    """Remove what ended runs left behind; return the number of modules removed."""
    return _unload([node for node in _marked(run) if not alive(node.owner, proc)], run)


def _marked(run: Run) -> list[SoundNode]:
    # The source first: it hangs on the sink.
    return [node for node in (*sources(run), *sinks(run)) if node.owner and node.module >= 0]


def _unload(nodes: list[SoundNode], run: Run) -> int:
    modules = list(dict.fromkeys(node.module for node in nodes))
    for module in modules:
        # It may have gone with the one before.
        with suppress(DeviceError):
            run(["unload-module", str(module)])
    return len(modules)


def _refuse_taken(run: Run) -> None:
    for node in (*sources(run), *sinks(run)):
        if node.name not in (SINK, SOURCE):
            continue
        if node.owner:
            pid = node.owner.partition(".")[0]
            raise DeviceError(Fault.BUSY, f"another lipline (process {pid}) has the microphone: end it first")
        raise DeviceError(Fault.BUSY, f"another program made a sound device called {node.name}: {take_away(node)}")


def take_away(node: SoundNode) -> str:
    """Return how to remove another program's device that has our name."""
    return f"pactl unload-module {node.module}" if node.module >= 0 else "close that program, or rename its device"


class VirtualMicrophone:
    """An `AudioSink` that other programs see as a microphone.

    Attributes:
        name: name to choose in the other program.
    """

    def __init__(self, *, on_lost: OnLost | None = None) -> None:
        """Make our own in the sound server; without a server find ALSA's loopback, BlackHole or VB-CABLE.

        Raises:
            DeviceError: there is none; the line says how to set one up.
        """
        from realtime.devices.sound import Loudspeaker, has_sound_server

        self._made: PulseMicrophone | None = None
        if has_sound_server():
            made = PulseMicrophone()
            self._made, self.name = made, made.name
            try:
                self._out = Loudspeaker(made.sink, open_writing=lambda: _play_to(made), on_lost=on_lost)
            except DeviceError:
                made.close()
                raise
            return
        from realtime.devices.portaudio import PortAudioWriting

        self.name, output, set_up = cable(sys.platform)
        try:
            self._out = Loudspeaker(output, open_writing=lambda: PortAudioWriting(output), on_lost=on_lost)
        except DeviceError as error:
            if error.fault is not Fault.MISSING:
                raise
            raise DeviceError(Fault.NOT_SET_UP, f"there is no virtual microphone: {set_up}") from error

    @property
    def latency_ms(self) -> float:
        """Time until sound that is put now is heard, in ms."""
        return self._out.latency_ms

    @property
    def underruns(self) -> int:
        """Number of times that there was no sound to play."""
        return self._out.underruns

    def put(self, block: Samples) -> None:
        """Add (960,) int16 samples; never waits."""
        self._out.put(block)

    def close(self) -> None:
        """Stop, and remove what was made. Idempotent."""
        self._out.close()
        if self._made is not None:
            self._made.close()


def _play_to(made: PulseMicrophone) -> "Writing":
    """Open our sink, made again first where it is gone: otherwise PipeWire would play to the loudspeaker."""
    from realtime.devices.pulse import PulseWriting

    made.restore()
    return PulseWriting(made.sink)


def cable(platform: str) -> tuple[str, str, str]:
    """Return the microphone to choose, the device to play to, and how to set it up, where there is no sound server."""
    if platform == "darwin":
        return "BlackHole 2ch", "BlackHole 2ch", "brew install blackhole-2ch, then restart the Mac"
    if platform == "win32":
        remedy = "install VB-CABLE (vb-audio.com/Cable) and restart Windows"
        return "CABLE Output (VB-Audio Virtual Cable)", "CABLE Input", remedy
    remedy = f"{sound_server()}; or without a sound server: sudo modprobe snd-aloop"
    return "Loopback: PCM (hw:Loopback,1)", "Loopback: PCM (hw:*,0)", remedy
