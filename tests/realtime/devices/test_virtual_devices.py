"""What our own camera and microphone say and do where there is no device: choosing, marks, pactl's JSON, errors."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realtime.devices import portaudio, pulse, virtual_camera
from realtime.devices.api import DeviceError, Fault
from realtime.devices.names import VideoDevice
from realtime.devices.pactl import SoundNode, connected_to, find_node, parse_nodes
from realtime.devices.virtual_microphone import (
    SINK,
    SOURCE,
    PulseMicrophone,
    alive,
    cable,
    owner_mark,
    remove_abandoned,
)


def test_the_camera_called_lipline_is_preferred() -> None:
    virtual = [VideoDevice("/dev/video4", "Dummy", loopback=True), VideoDevice("/dev/video9", "lipline", loopback=True)]
    real = VideoDevice("/dev/video0", "HD Webcam")
    assert virtual_camera.choose_loopback([real, *virtual]).path == "/dev/video9"
    assert virtual_camera.choose_loopback([real, virtual[0]]).path == "/dev/video4"
    with pytest.raises(DeviceError, match="module is not loaded.*modprobe v4l2loopback exclusive_caps=1") as caught:
        virtual_camera.choose_loopback([real])
    assert caught.value.fault is Fault.NOT_SET_UP


def test_what_pyvirtualcam_says_becomes_one_line_with_a_remedy() -> None:
    told = virtual_camera.open_fault("'obs' backend: OBS Virtual Camera device not found!\nDid you install OBS?", "obs")
    assert told.fault is Fault.NOT_SET_UP and "Start Virtual Camera" in str(told) and "\n" not in str(told)
    busy = virtual_camera.open_fault("'v4l2loopback' backend: Device /dev/video9 is already in use.", "v4l2loopback")
    assert busy.fault is Fault.BUSY


def test_odd_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="even"):
        virtual_camera.VirtualCamera((641, 480))


class Server:
    """A sound server made of lists, which answers as pactl 16 does."""

    def __init__(self) -> None:
        self.modules: dict[int, tuple[str, str, str, str]] = {}
        self.refuses: str = ""
        self._next = 20

    def __call__(self, arguments: Sequence[str]) -> str:
        if arguments[0] == "load-module":
            if arguments[1] == self.refuses:
                raise DeviceError(Fault.FAILED, "Failure: Module initialization failed")
            given = dict(argument.split("=", 1) for argument in arguments[2:])
            kind = "sink" if "sink_name" in given else "source"
            properties = given[f"{kind}_properties"].strip('"')
            owner = properties.rsplit("lipline.owner=", 1)[1]
            self.add(kind, given[f"{kind}_name"], "lipline", owner)
            return f"{self._next}\n"
        if arguments[0] == "unload-module":
            del self.modules[int(arguments[1])]
            return ""
        kind = arguments[-1].removesuffix("s")
        return json.dumps(
            [
                {"index": number, "name": name, "description": description, "owner_module": number,
                 "properties": {"lipline.owner": owner} if owner else {}}
                for number, (sort, name, description, owner) in self.modules.items() if sort == kind
            ]
        )  # fmt: skip

    def add(self, kind: str, name: str, description: str, owner: str = "") -> None:
        self._next += 1
        self.modules[self._next] = (kind, name, description, owner)


def processes(root: Path, *pids: int) -> Path:
    for pid in pids:
        (root / str(pid)).mkdir()
        (root / str(pid) / "stat").write_text(f"{pid} (a (b) c) S " + " ".join(str(n) for n in range(4, 40)))
    return root


def test_the_microphone_is_made_and_taken_away(tmp_path: Path) -> None:
    server = Server()
    server.add("sink", "speakers", "Built-in Audio")
    made = PulseMicrophone(server, owner="5.22", proc=processes(tmp_path, 5))
    assert {(kind, name) for kind, name, _, _ in server.modules.values()} == {
        ("sink", "speakers"), ("sink", SINK), ("source", SOURCE),
    }  # fmt: skip
    made.close()
    made.close()
    assert [name for _, name, _, _ in server.modules.values()] == ["speakers"]


def test_what_a_crashed_run_left_is_taken_away_and_nothing_else(tmp_path: Path) -> None:
    proc = processes(tmp_path, 5)
    server = Server()
    server.add("sink", SINK, "lipline", "4.22")
    server.add("source", SOURCE, "lipline", "4.22")
    server.add("source", "noise_filter", "Noise filter")
    assert remove_abandoned(server, proc) == 2
    assert [name for _, name, _, _ in server.modules.values()] == ["noise_filter"]


def test_a_number_that_another_process_has_now_is_not_ours(tmp_path: Path) -> None:
    proc = processes(tmp_path, 5)
    assert owner_mark(5, proc) == "5.22"
    assert alive("5.22", proc)
    assert not alive("5.21", proc) and not alive("6.22", proc) and not alive("", proc) and not alive("5.0", proc)


def test_another_lipline_and_other_programs_are_left_alone(tmp_path: Path) -> None:
    proc = processes(tmp_path, 5, 6)
    running, foreign = Server(), Server()
    running.add("sink", SINK, "lipline", "6.22")
    foreign.add("source", SOURCE, "somebody's")
    for server, says in ((running, "another lipline"), (foreign, "pactl unload-module 21")):
        with pytest.raises(DeviceError, match=says) as caught:
            PulseMicrophone(server, owner="5.22", proc=proc)
        assert caught.value.fault is Fault.BUSY and len(server.modules) == 1


def test_half_a_microphone_is_taken_away_again(tmp_path: Path) -> None:
    server = Server()
    server.refuses = "module-remap-source"
    with pytest.raises(DeviceError, match="initialization failed"):
        PulseMicrophone(server, owner="5.22", proc=processes(tmp_path, 5))
    assert server.modules == {}


def test_a_microphone_that_a_new_server_does_not_know_is_made_again(tmp_path: Path) -> None:
    server = Server()
    made = PulseMicrophone(server, owner="5.22", proc=processes(tmp_path, 5))
    made.restore()
    before = dict(server.modules)
    assert len(before) == 2
    for gone in (tuple(before), tuple(before)[:1]):
        for number in gone:
            server.modules.pop(number, None)
        made.restore()
        assert {(kind, name) for kind, name, _, _ in server.modules.values()} == {("sink", SINK), ("source", SOURCE)}
    made.close()
    made.restore()
    assert server.modules == {}


YETI = SoundNode("alsa_input.yeti", "Yeti", index=51)
BUILT_IN = SoundNode("alsa_input.pci", "Built-in", index=52)
MONITOR = SoundNode("alsa_output.pci.monitor", "Monitor of Built-in", monitor=True, index=53)


def test_a_stream_that_the_server_moved_is_told_with_the_choice() -> None:
    assert pulse.substitute("alsa_input.yeti", "Yeti", YETI, recording=True) is None
    told = str(pulse.substitute("alsa_input.yeti", "Yeti", BUILT_IN, recording=True))
    assert "Yeti is not there; the sound server gave Built-in" in told
    assert "plug Yeti in again" in told and '--microphone "Built-in"' in told
    # What a loudspeaker plays is no choice.
    assert "--microphone" not in str(pulse.substitute("alsa_input.yeti", "Yeti", MONITOR, recording=True))
    assert "does not play to" in str(pulse.substitute("alsa_output.usb", "Headset", BUILT_IN, recording=False))


def test_without_a_name_any_real_microphone_will_do() -> None:
    ours = SoundNode(SOURCE, "lipline", owner="5.22")
    assert pulse.substitute("", "", BUILT_IN, recording=True) is None
    assert pulse.substitute("", "", MONITOR, recording=False) is None
    for loop in (MONITOR, ours):
        assert "no microphone any more: plug one in" in str(pulse.substitute("", "", loop, recording=True))


def test_where_a_stream_is_connected_is_found_by_process_and_name() -> None:
    def run(arguments: Sequence[str]) -> str:
        if arguments[-1] == "source-outputs":
            stream = {"application.process.id": "7", "media.name": "microphone 1"}
            other = {"application.process.id": "8", "media.name": "microphone 1"}
            alone = {"application.process.id": "7", "media.name": "microphone 3"}
            return json.dumps(
                [{"source": 9, "properties": other}, {"source": 51, "properties": stream},
                 {"source": 0xFFFF_FFFF, "properties": alone}]
            )  # fmt: skip
        return "[]"

    assert connected_to("microphone 1", 7, recording=True, run=run) == 51
    assert connected_to("microphone 1", 8, recording=True, run=run) == 9
    # Not there, not connected yet.
    assert connected_to("microphone 2", 7, recording=True, run=run) == -1
    assert connected_to("microphone 3", 7, recording=True, run=run) == -1
    assert connected_to("microphone 1", 7, recording=False, run=run) == -1
    with pytest.raises(DeviceError, match="release 16"):
        connected_to("microphone 1", 7, recording=True, run=lambda arguments: "Source Output #2")


PIPEWIRE = """[{"index": 51, "name": "alsa_input.usb-Blue_Yeti-00.analog-stereo", "description": "Yeti Analog Stereo",
  "owner_module": 4294967295, "properties": {"device.class": "sound", "node.name": "alsa_input"}},
 {"index": 50, "name": "alsa_output.pci.monitor", "description": "Monitor of Built-in", "owner_module": 4294967295,
  "properties": {"device.class": "monitor"}},
 {"index": 90, "name": "lipline_microphone", "description": "lipline", "owner_module": 536870913,
  "properties": {"lipline.owner": "5.22"}}]"""


def test_the_json_of_pactl_is_read() -> None:
    nodes = parse_nodes(PIPEWIRE)
    assert nodes[0] == SoundNode("alsa_input.usb-Blue_Yeti-00.analog-stereo", "Yeti Analog Stereo", index=51)
    assert nodes[1].monitor and nodes[2].owner == "5.22" and nodes[2].module == 536870913
    assert parse_nodes("") == []
    with pytest.raises(DeviceError, match="no JSON"):
        parse_nodes("Source #1\n\tState: RUNNING")


def test_sources_are_found_by_what_people_see_and_never_our_own() -> None:
    nodes = parse_nodes(PIPEWIRE)
    assert find_node(nodes, "yeti", "microphone").name.startswith("alsa_input")
    for wanted in ("lipline", "Monitor"):
        with pytest.raises(DeviceError, match="choose of: Yeti Analog Stereo"):
            find_node(nodes, wanted, "microphone")
    assert find_node(nodes, "alsa_output.pci.monitor", "microphone").monitor


SOUND = [
    {"name": "HDA Intel: ALC257 (hw:0,0)", "max_input_channels": 2, "max_output_channels": 2},
    {"name": "Loopback: PCM (hw:2,0)", "max_input_channels": 32, "max_output_channels": 32},
    {"name": "Loopback: PCM (hw:2,1)", "max_input_channels": 32, "max_output_channels": 32},
    {"name": "default", "max_input_channels": 0, "max_output_channels": 32},
]


def test_sound_cards_keep_their_names_under_another_number() -> None:
    assert portaudio.find_sound(SOUND, "Loopback: PCM (hw:7,1)", "input") == 2
    assert portaudio.find_sound(SOUND, cable("linux")[1], "output") == 1
    assert portaudio.find_sound(SOUND, "alc257", "input") == 0
    with pytest.raises(DeviceError, match="no microphone 'default'"):
        portaudio.find_sound(SOUND, "default", "input")


def test_what_portaudio_says_becomes_one_line_with_a_remedy() -> None:
    assert portaudio.open_fault("Yeti", "Error opening RawInputStream: Device unavailable [-9985]").fault is Fault.BUSY
    assert portaudio.open_fault("Yeti", "Invalid sample rate [-9997]").fault is Fault.FORMAT
    assert portaudio.open_fault("", "Error querying device -1").fault is Fault.MISSING


@pytest.mark.parametrize("platform", ["darwin", "win32", "linux"])
def test_each_system_has_its_cable(platform: str) -> None:
    chosen, played, set_up = cable(platform)
    assert chosen and played and set_up


def test_a_picture_of_another_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    camera = object.__new__(virtual_camera.VirtualCamera)
    camera.size, camera.fps, camera.name, camera._path = (64, 48), 30.0, "lipline", ""

    class Fake:
        def send(self, frame: np.ndarray[Any, Any]) -> None:
            sent.append(frame.size)

        def close(self) -> None:
            sent.append(-1)

    camera._camera = Fake()
    camera.send(np.zeros((72, 64), np.uint8))
    for wrong in (np.zeros((48, 64), np.uint8), np.zeros((72, 64), np.int16)):
        with pytest.raises(ValueError, match="64x48"):
            camera.send(wrong)  # type: ignore[arg-type]  # one of them is what the types forbid
    camera.close()
    camera.close()
    assert sent == [72 * 64, -1]
    with pytest.raises(DeviceError, match="closed"):
        camera.send(np.zeros((72, 64), np.uint8))
