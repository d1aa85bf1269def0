"""The doctor names what is wrong with a device and the command that mends it."""

import subprocess
import sys

import pytest

from client.doctor import device_checks
from realtime.devices import v4l2
from realtime.devices.holders import Holder
from realtime.devices.names import VideoDevice

OURS = VideoDevice(__file__, "lipline", loopback=True)
WEBCAM = VideoDevice(__file__, "HD Webcam")


def test_no_webcam_is_told() -> None:
    metadata = VideoDevice(__file__, "HD Webcam", node=1)
    assert [row[:3] for row in device_checks.linux_cameras([OURS, metadata])] == [("webcam", False, "none")]


def test_who_has_the_webcam_open_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [row[1] for row in device_checks.linux_cameras([WEBCAM])] == [True]
    monkeypatch.setattr(device_checks, "who_holds", lambda paths: [Holder(70, "zoom")])
    [(_, fine, detail, remedy)] = device_checks.linux_cameras([WEBCAM])
    assert not fine and "open in zoom (process 70)" in detail
    assert "close that program" in remedy and "--camera NAME" in remedy


def test_a_forbidden_webcam_names_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.doctor.device_checks.os.access", lambda path, mode: False)
    [(_, fine, _, remedy)] = device_checks.linux_cameras([WEBCAM])
    assert not fine and "usermod -aG video" in remedy


def test_without_the_module_the_set_up_is_told_once_and_for_each_start() -> None:
    [(_, fine, detail, remedy)] = device_checks.linux_virtual_camera([WEBCAM])
    assert not fine and "not loaded" in detail and "install" in remedy
    assert "modprobe v4l2loopback exclusive_caps=1" in remedy and "/etc/modules-load.d" in remedy


@pytest.mark.parametrize(
    ("sends", "bound", "says"),
    [(True, "", "obs (process 8) sends to it"), (False, "YU12:640x480@30", "keeps it in YU12:640x480@30")],
)
def test_a_virtual_camera_in_use_names_who_uses_it(
    monkeypatch: pytest.MonkeyPatch, sends: bool, bound: str, says: str
) -> None:
    monkeypatch.setattr(v4l2, "sender_active", lambda path: sends)
    monkeypatch.setattr(v4l2, "fixed_format", lambda path: bound)
    monkeypatch.setattr(device_checks, "who_holds", lambda paths: [Holder(8, "obs")])
    rows = list(device_checks.linux_virtual_camera([OURS]))
    assert not rows[0][1] and says in rows[0][2] and rows[0][3].startswith("close")
    assert rows[0][3].endswith("--size 640x480") == bool(bound)


def test_a_holder_that_only_root_may_see_can_still_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2, "sender_active", lambda path: False)
    monkeypatch.setattr(v4l2, "fixed_format", lambda path: "MJPG:640x480@30")
    monkeypatch.setattr(device_checks, "who_holds", lambda paths: [])
    [(_, fine, detail, remedy)] = device_checks.linux_virtual_camera([OURS])
    assert not fine and f"sudo fuser -v {__file__}" in detail
    # In another format the same size is of no use.
    assert "--size" not in remedy


def test_a_free_virtual_camera_is_fine_and_another_label_is_mentioned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2, "sender_active", lambda path: False)
    assert [row[1] for row in device_checks.linux_virtual_camera([OURS])] == [True]
    dummy = VideoDevice(__file__, "Dummy", loopback=True)
    [(_, fine, detail, _)] = device_checks.linux_virtual_camera([dummy])
    assert fine and 'choose "Dummy" in the other program' in detail and "rmmod" in detail


def test_without_cameras_each_system_says_where_they_are_allowed() -> None:
    for platform, place in (("darwin", "System Settings, Privacy & Security, Camera"), ("win32", "desktop apps")):
        [(_, fine, detail, remedy)] = device_checks.named_cameras(["OBS Virtual Camera"], platform)
        assert not fine and detail == "none" and place in remedy and "--camera FILE" in remedy
        [(_, fine, _, remedy)] = list(device_checks.portaudio_sound([], platform))[:1]
        assert not fine and "Microphone" in remedy and "--microphone none" in remedy
    [(_, fine, detail, _)] = device_checks.named_cameras(["FaceTime HD Camera"], "darwin")
    assert fine and detail == "FaceTime HD Camera"


CARDS: list[dict[str, object]] = [
    {"name": "Yeti", "max_input_channels": 2, "max_output_channels": 0},
    {"name": "BlackHole 2ch", "max_input_channels": 2, "max_output_channels": 2},
]


def test_virtual_microphones_of_other_systems_are_looked_for_by_name() -> None:
    assert [row[1] for row in device_checks.portaudio_sound(CARDS, "darwin")] == [True, True]
    rows = list(device_checks.portaudio_sound(CARDS, "win32"))
    assert [row[1] for row in rows] == [True, False] and "VB-CABLE" in rows[1][3]


def test_devices_load_without_the_heavy_packages() -> None:
    """`lipline cam` says what is wrong with a device before it loads trackers, networks and WebRTC."""
    code = (
        "import sys, realtime.devices.camera, realtime.devices.avcamera, realtime.devices.virtual_camera, "
        "realtime.devices.sound, realtime.devices.virtual_microphone, realtime.devices.portaudio; "
        "print(sorted({'aiortc', 'mediapipe', 'cv2', 'onnxruntime', 'torch', 'av', 'sounddevice'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
