"""`lipline cam` itself, start to end, on real v4l2loopback devices and ALSA's loopback, in a guest kernel.

    .venv/bin/python -m pytest -q -s -m vm tests/vm/test_real_cam.py

The guest has no hardware help: its clock is slowed by as much as the guest is slow now (`pace` in guest.py), so
that the program finds a processor with time for it. How many pictures a second it reaches is printed, not judged. What
is judged: bytes, their order, what is marked as synthetic, what is heard, and who said what.
"""

import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.vm.film_making import make_film, make_speech, recognize
from tests.vm.guest import guest

pytestmark = pytest.mark.vm

PICTURES = {(640, 480): 50, (1280, 720): 20}
INTERRUPTED = 130
ALIKE = 0.8


@dataclass(frozen=True, slots=True)
class Seen:
    """Hold what the guest saw: its runs, and the other side's sound with the time of each 20 ms."""

    runs: list[dict[str, Any]]
    heard: NDArray[np.int16]
    heard_at: NDArray[np.float64]
    speech: NDArray[np.int16]


def boot(folder: Path, clip: Path, *plans: str) -> Seen:
    """Run the program in a guest, once for each of `plans`."""
    pytest.importorskip("pyvirtualcam", reason="pip install 'lipline[camera]'")
    pytest.importorskip("sounddevice", reason="pip install 'lipline[camera]'; apt-get install libportaudio2")
    for size, count in PICTURES.items():
        if any(plan.startswith(f"{size[0]}x") for plan in plans):
            make_film(folder, clip, size, count)
    speech = make_speech(folder, clip)
    results = guest(folder, f"{sys.executable} tests/vm/guest_cam.py {' '.join(plans)}", 600)
    times = np.loadtxt(folder / "heard.raw.times", ndmin=2, usecols=0)[:, 0]
    heard = np.fromfile(folder / "heard.raw", np.int16)
    for run in results["runs"]:
        print(figures(run))
    return Seen(results["runs"], heard[: times.size * 960], times, speech)


def figures(run: dict[str, Any]) -> str:
    """Return in a line what a run reached."""
    rows, times = run.get("rows", []), run["times"]
    until = times.get("killed", times.get("term", 0.0))
    own = [row for row in rows if row[2] and row[0] <= until]
    rate = (len(own) - 1) / (own[-1][0] - own[0][0]) if len(own) > 1 else 0.0
    made = [row for row in rows if row[3] and row[0] > until]
    made_rate = (len(made) - 1) / (made[-1][0] - made[0][0]) if len(made) > 1 else 0.0
    since = {name: round(at - times["start"], 1) for name, at in times.items()}
    bare = sum(not row[2] and not row[3] for row in rows)
    return (
        f"{run['plan']}: {len(rows)} pictures, {sum(row[2] for row in rows)} the camera's own ({rate:.1f} a second), "
        f"{sum(row[3] for row in rows)} marked ({made_rate:.1f} a second in the outage), {bare} held; {since}"
    )


def check_through(run: dict[str, Any], size: tuple[int, int], fps: float) -> None:
    """Every picture is the webcam's own, byte for byte and in order, or says that it is not."""
    assert "failed" not in run, run["failed"]
    assert run["through"], "the program never gave 50 of the webcam's own pictures"
    assert run["format"] == f"{size[0]}x{size[1]} yuv420p {fps:g}"
    numbers = [row[1] for row in run["rows"] if row[2]]
    steps = np.diff(numbers) % PICTURES[size]
    assert np.all(steps < PICTURES[size] // 2), f"backwards: {numbers}"
    # A picture that is held until the first made one is there is drawn anew from its colours.
    bare = [
        row
        for before, row in pairwise(run["rows"])
        if not row[2] and not row[3] and not (row[4] and row[1] == before[1])
    ]
    assert not bare, f"neither the webcam's own, nor held, nor marked: {bare[:5]}"


def check_end(run: dict[str, Any]) -> None:
    """It ended as told to, said what it had done, and left the camera as it was."""
    said = [text for _, text in run["said"]]
    assert run["code"] == INTERRUPTED and said[-1] == "lipline: stopped"
    assert any("real and" in text and "synthetic pictures" in text for text in said)
    assert not any("Traceback" in text for text in said)
    assert run["left"] == "output"


def alike(seen: Seen, begin: float, end: float) -> NDArray[np.float64]:
    """Return how alike what was heard between two times is to what was spoken, for each quarter of a second."""
    blocks = np.flatnonzero((seen.heard_at >= begin) & (seen.heard_at < end))
    assert blocks.size, "nothing was heard"
    found = recognize(seen.heard[blocks[0] * 960 : (blocks[-1] + 1) * 960], seen.speech)
    print(f"heard {found.shape[0]} pieces of speech in {end - begin:.1f} s, alike {np.round(found[:, 2], 2).tolist()}")
    return found[:, 2]


@pytest.fixture(scope="module")
def unplugged(tmp_path_factory: pytest.TempPathFactory, caller_clip: Path) -> Seen:
    return boot(tmp_path_factory.mktemp("unplugged"), caller_clip, "640x480@25+unplug")


def test_the_webcams_own_pictures_go_through_bit_for_bit(unplugged: Seen) -> None:
    check_through(unplugged.runs[0], (640, 480), 25.0)


def test_marked_pictures_speak_while_the_webcam_is_gone(unplugged: Seen) -> None:
    run, times = unplugged.runs[0], unplugged.runs[0]["times"]
    assert run["marked"] and run["removed"]
    gone = [row for row in run["rows"] if times["killed"] + 1.0 < row[0] < times["back"]]
    assert gone and all(row[3] and not row[2] for row in gone)
    assert any("the camera is gone: webcam" in text for _, text in run["said"])
    assert any("synthetic" in text for _, text in run["said"])


def test_the_webcam_that_returns_under_another_number_is_taken_up_again(unplugged: Seen) -> None:
    run, times = unplugged.runs[0], unplugged.runs[0]["times"]
    assert run["returned"]
    assert sum(row[2] for row in run["rows"] if row[0] > times["back"]) >= 30


def test_speech_arrives_at_the_other_side_all_the_time(unplugged: Seen) -> None:
    times = unplugged.runs[0]["times"]
    before = alike(unplugged, times["sending"] + 1.0, times["killed"])
    gone = alike(unplugged, times["killed"] + 1.0, times["back"])
    # The guest has little time to spare: it may miss a block here and there.
    assert np.mean(before > ALIKE) >= 0.6 and np.mean(gone > ALIKE) >= 0.6


def test_sigterm_ends_it_cleanly(unplugged: Seen) -> None:
    check_end(unplugged.runs[0])


def test_other_sizes_and_rates_on_devices_that_open_again(tmp_path: Path, caller_clip: Path) -> None:
    plans = ("1280x720@30", "640x480@30", "1280x720@25")
    seen = boot(tmp_path, caller_clip, *plans)
    for plan, run in zip(plans, seen.runs, strict=True):
        size, fps = plan.split("@")
        width, height = size.split("x")
        check_through(run, (int(width), int(height)), float(fps))
        check_end(run)
        assert np.mean(alike(seen, run["times"]["sending"] + 1.0, run["times"]["term"]) > ALIKE) >= 0.6
