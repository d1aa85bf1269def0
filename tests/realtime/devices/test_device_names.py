"""Cameras are known by their names; who holds a device is read from /proc."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from device_trees import process, video

from realtime.devices.api import DeviceError, Fault
from realtime.devices.avcamera import choose_mode, choose_named, list_named, open_fault
from realtime.devices.holders import Holder, held_by, who_holds
from realtime.devices.names import VideoDevice, find_camera, list_video
from realtime.devices.v4l2 import CaptureMode


def tree(tmp_path: Path) -> list[VideoDevice]:
    sys = tmp_path / "video4linux"
    video(sys, 10, "lipline", loopback=True)
    video(sys, 2, "HD Webcam: HD Webcam", place="1-2:1.0")
    video(sys, 3, "HD Webcam: HD Webcam", node=1, place="1-2:1.0")
    video(sys, 4, "Dummy video device (0x0000)", loopback=True)
    return list_video(sys)


def test_devices_are_listed_by_number_with_name_node_and_place(tmp_path: Path) -> None:
    listed = tree(tmp_path)
    assert [device.path for device in listed] == ["/dev/video2", "/dev/video3", "/dev/video4", "/dev/video10"]
    assert listed[0] == VideoDevice("/dev/video2", "HD Webcam: HD Webcam", 0, "1-2:1.0", False)
    assert [device.ours for device in listed] == [False, False, False, True]


def test_no_devices_at_all_are_an_empty_list(tmp_path: Path) -> None:
    assert list_video(tmp_path / "none") == []


@pytest.mark.parametrize("wanted", ["", "webcam", "HD Webcam: HD Webcam", "/dev/video2"])
def test_a_camera_is_found_by_path_name_or_part_of_it(tmp_path: Path, wanted: str) -> None:
    assert find_camera(tree(tmp_path), wanted).path == "/dev/video2"


def test_without_a_real_camera_the_first_virtual_one_that_is_not_ours_is_taken(tmp_path: Path) -> None:
    assert find_camera(tree(tmp_path)[2:]).path == "/dev/video4"


def test_a_name_finds_the_camera_under_another_number(tmp_path: Path) -> None:
    sys = tmp_path / "later"
    video(sys, 0, "HD Webcam: HD Webcam", place="1-2:1.0")
    assert find_camera(list_video(sys), "HD Webcam: HD Webcam", "1-2:1.0").path == "/dev/video0"


def test_of_two_equal_cameras_the_one_in_the_old_place_is_taken(tmp_path: Path) -> None:
    sys = tmp_path / "twins"
    video(sys, 0, "HD Webcam", place="1-1:1.0")
    video(sys, 2, "HD Webcam", place="1-4:1.0")
    assert find_camera(list_video(sys), "HD Webcam", "1-4:1.0").path == "/dev/video2"
    assert find_camera(list_video(sys), "HD Webcam", "3-3:1.0").path == "/dev/video0"


def test_our_own_camera_is_never_taken(tmp_path: Path) -> None:
    for wanted in ("lipline", "/dev/video10"):
        with pytest.raises(DeviceError, match="cannot watch itself"):
            find_camera(tree(tmp_path), wanted)
    with pytest.raises(DeviceError, match="plug one in"):
        find_camera(tree(tmp_path)[3:])


def test_a_missing_camera_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no camera 'Logitech'; there are: .*HD Webcam") as caught:
        find_camera(tree(tmp_path), "Logitech")
    assert caught.value.fault is Fault.MISSING


def test_holders_are_named_and_senders_told_from_readers(tmp_path: Path) -> None:
    process(tmp_path, 70, "zoom", {"/dev/video2": os.O_RDWR})
    process(tmp_path, 9, "python3", {"/dev/null": os.O_RDWR, "/dev/video2": os.O_WRONLY})
    process(tmp_path, 71, "bash", {"/dev/tty": os.O_RDWR})
    assert who_holds(["/dev/video2"], tmp_path) == [Holder(9, "python3", True), Holder(70, "zoom", False)]
    assert held_by(["/dev/video2"], tmp_path) == "python3 (process 9), zoom (process 70)"
    assert held_by(["/dev/video7"], tmp_path) == "another program"


@pytest.mark.parametrize(
    ("number", "fault", "says"),
    [(16, Fault.BUSY, "in use by"), (13, Fault.DENIED, "usermod -aG video"), (19, Fault.MISSING, "plug it in"),
     (22, Fault.FORMAT, "another size"), (5, Fault.FAILED, "unplug it")],
)  # fmt: skip
def test_each_fault_has_one_line_and_a_remedy(number: int, fault: Fault, says: str) -> None:
    told = open_fault(VideoDevice("/dev/video2", "HD Webcam"), OSError(number, os.strerror(number)))
    assert told.fault is fault
    assert says in str(told) and "HD Webcam" in str(told) and "\n" not in str(told)


CAMERA = [
    CaptureMode("YUYV", 640, 480, 30.0), CaptureMode("YUYV", 1280, 720, 10.0), CaptureMode("MJPG", 640, 480, 30.0),
    CaptureMode("MJPG", 1280, 720, 30.0), CaptureMode("H264", 1920, 1080, 30.0),
]  # fmt: skip


def test_the_cheapest_format_that_is_fast_enough_is_chosen() -> None:
    small, large = choose_mode(CAMERA, (640, 480), 30.0, "cam"), choose_mode(CAMERA, (1280, 720), 30.0, "cam")
    assert small is not None and small.fourcc == "YUYV"
    assert large is not None and large.fourcc == "MJPG"
    planar = choose_mode([*CAMERA, CaptureMode("YU12", 640, 480, 30.0)], (640, 480), 25.0, "cam")
    assert planar is not None and planar.fourcc == "YU12"


def test_where_nothing_is_fast_enough_the_fastest_is_chosen() -> None:
    chosen = choose_mode(
        [CaptureMode("YU12", 640, 480, 5.0), CaptureMode("MJPG", 640, 480, 15.0)], (640, 480), 30.0, "cam"
    )
    assert chosen is not None and chosen.fourcc == "MJPG"


def test_a_size_that_the_camera_lacks_is_told_with_those_it_has() -> None:
    with pytest.raises(DeviceError, match="no pictures of 800x600: choose one of 640x480, 1280x720"):
        choose_mode(CAMERA, (800, 600), 30.0, "cam")
    scaled = choose_mode([CaptureMode("NV12", 1920, 1080, 30.0, True)], (800, 600), 30.0, "cam")
    assert scaled is not None and scaled.fourcc == "NV12"
    assert choose_mode([CaptureMode("H264", 640, 480, 30.0)], (640, 480), 30.0, "cam") is None


def test_elsewhere_cameras_are_chosen_by_name_and_obs_is_left_out() -> None:
    names = ["OBS Virtual Camera", "FaceTime HD Camera", "Desk View"]
    assert choose_named(names, "") == "FaceTime HD Camera"
    assert choose_named(names, "desk") == "Desk View"
    with pytest.raises(DeviceError, match="choose of"):
        choose_named(names, "OBS")


def test_microphones_and_screens_are_no_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg lists them with the cameras of macOS and Windows."""
    av = pytest.importorskip("av")
    listed = [
        ("HD Webcam", ["video"]), ("Microphone (Realtek)", ["audio"]), ("Capture screen 0", ["video"]), ("Odd one", []),
    ]  # fmt: skip
    devices = [SimpleNamespace(name=f"id{index}", description=name, media_types=types)
               for index, (name, types) in enumerate(listed)]  # fmt: skip
    monkeypatch.setattr(av, "enumerate_input_devices", lambda system: devices)
    assert list_named("dshow") == ["HD Webcam", "Odd one"]
    with pytest.raises(DeviceError, match="there is no camera: plug one in and switch on"):
        choose_named([], "")
