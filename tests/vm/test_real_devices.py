"""Our device classes against a real v4l2loopback and a real snd-aloop, in a guest kernel.

    .venv/bin/python -m pytest -q -s -m vm tests/vm

The guest (vmrun.sh) is Debian's kernel in qemu without hardware help, 10 to 25 times slower than its host: its clock is
slowed as much. No time is judged here: only bytes, names, and who said what.
"""

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.vm.guest import guest

pytestmark = pytest.mark.vm


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    pytest.importorskip("pyvirtualcam", reason="pip install 'lipline[camera]'")
    # The module keeps two pictures: without time to spare a reader may see the next one come into the one it looks at.
    return guest(tmp_path_factory.mktemp("camera"), f"{sys.executable} tests/vm/guest_camera.py", 900)


def release(camera: dict[str, Any]) -> tuple[int, ...]:
    """Return the release of v4l2loopback: VM_LOOPBACK=sid chooses another than this machine's."""
    return tuple(int(part) for part in camera["version"].split("."))


def test_devices_are_known_by_their_labels(camera: dict[str, Any]) -> None:
    assert camera["names"] == [["/dev/video0", "lipline", True, True], ["/dev/video1", "webcam", True, False]]


def test_another_program_reads_our_bytes(camera: dict[str, Any]) -> None:
    """I420 all the way, bit for bit, at the rate that was asked for."""
    assert camera["small"].startswith("read 12 of 640x480 at 25/s")
    assert camera["large"].startswith("read 12 of 1280x720 at 30/s")
    assert camera["small"].endswith("then output") and camera["large"].endswith("then output")


def test_the_camera_opens_again_and_again_in_any_size(camera: dict[str, Any]) -> None:
    assert camera["reopened"] == [
        ["capture YU12:640x480@25", "output"],
        ["capture YU12:1280x720@25", "output"],
        ["capture YU12:640x480@25", "output"],
    ]


def test_what_a_killed_sender_leaves_behind_is_mended(camera: dict[str, Any]) -> None:
    left = "output" if release(camera) >= (0, 13) else ""
    assert camera["mended_after_a_crash"] == f"left with [{left}], then [output]"


def test_a_camera_that_another_sends_to_is_left_alone(camera: dict[str, Any]) -> None:
    assert camera["busy"].startswith("busy: another program sends to lipline already (python")
    assert "(process PID)" in camera["busy"]


def test_a_reader_that_came_first_is_named(camera: dict[str, Any]) -> None:
    told = camera["held_by_a_reader"]
    if release(camera) >= (0, 15):  # Who only opened it binds it to nothing.
        assert told == "opened in another size"
        return
    assert told.startswith("same size opened again; wrong format: lipline is held in YU12:640x480 by sleep ")
    assert "close that" in told


def test_the_remedy_for_a_lost_camera_harms_none_that_is_well(camera: dict[str, Any]) -> None:
    idle, seen = camera["freed_for_nothing"]
    assert idle == "output"
    assert seen.startswith("read 12 of 640x480 at 25/s") and seen.endswith("then output")


def test_a_reader_stays_while_senders_come_and_go(camera: dict[str, Any]) -> None:
    stays = camera["reader_stays"]
    assert "failed" not in stays, stays["failed"]
    assert stays["begun"] == "reading" and stays["second"] == "sending lipline"
    assert int(stays["sent"].split()[1]) < stays["wanted"], "the first sender had time for all of them"
    assert stays["read"].startswith(f"read {stays['wanted']} of 640x480")


def test_our_own_camera_is_never_the_input(camera: dict[str, Any]) -> None:
    assert "cannot watch itself" in camera["never_our_own"]


def test_a_webcam_that_went_away_is_found_again_under_another_number(camera: dict[str, Any]) -> None:
    returned = camera["webcam_returns"]
    assert "failed" not in returned, returned["failed"]
    assert returned["name"] == "webcam" and returned["at"] == ["/dev/video5"]
    assert returned["before"] >= 10 and returned["after"] >= 10
    assert len(returned["lost"]) == 1
    assert returned["identical"]


def test_a_tone_goes_through_alsas_loopback(tmp_path: Path) -> None:
    pytest.importorskip("sounddevice", reason="pip install 'lipline[camera]'; apt-get install libportaudio2")
    heard = guest(tmp_path, f"modprobe snd-aloop; {sys.executable} tests/vm/guest_sound.py", 600)
    print(heard)
    assert not heard["server"] and heard["shape"] == [960]
    assert heard["amplitude"] == pytest.approx(16_000.0, rel=0.02)
    # The guest has little time to spare: it may miss a block.
    assert heard["clean"] >= 0.6
    assert heard["step_ms"] == pytest.approx(20.0, abs=2.0)
