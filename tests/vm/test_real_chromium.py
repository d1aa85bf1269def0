"""Chromium takes our virtual camera for a camera: a page's getUserMedia on a real v4l2loopback, in a guest kernel.

    .venv/bin/python -m pytest -q -s -m vm tests/vm/test_real_chromium.py

The browser is this machine's; the guest's clock is slowed for it, as for `lipline cam` (test_real_cam.py). How long it
took is printed, not judged.
"""

import shutil
import sys
from pathlib import Path

import pytest

from tests.vm.guest import guest

pytestmark = pytest.mark.vm

PLANS = ("640x480@25", "1280x720@30")


def test_chromium_lists_the_camera_and_gets_its_bytes(tmp_path: Path) -> None:
    pytest.importorskip("pyvirtualcam", reason="pip install 'lipline[camera]'")
    if shutil.which("chromium") is None:
        pytest.skip("apt-get install chromium")
    command = f"{sys.executable} tests/vm/guest_chromium.py {' '.join(PLANS)}"
    seen = guest(tmp_path, command, 600, memory="3G")
    for plan in PLANS:
        check(plan, seen[plan])


def check(plan: str, seen: dict[str, object]) -> None:
    """The page saw one camera, "lipline", and every byte of its pictures was what we sent."""
    assert "failed" not in seen, seen["failed"]
    assert seen["whole"], f"{plan}: not all came: {seen}"
    size, fps = plan.split("@")
    width, height = (int(side) for side in size.split("x"))
    camera, pictures = seen["camera"], seen["pictures"]
    assert isinstance(camera, dict) and isinstance(pictures, list)
    assert camera["devices"] == ["lipline"] and camera["track"] == "lipline"
    assert (camera["settings"]["width"], camera["settings"]["height"]) == (width, height)
    assert camera["settings"]["frameRate"] == pytest.approx(float(fps), abs=0.1)
    assert [picture[1:3] for picture in pictures] == [[width, height]] * len(pictures)
    assert all(picture[4] for picture in pictures), f"{plan}: changed on the way: {pictures}"
    assert len({picture[3] for picture in pictures}) > 1, "the same picture over and over"
    assert seen["shown"] == [[width, height]] * len(pictures)
    assert "chromium" in str(seen["readers"])
