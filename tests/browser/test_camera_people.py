"""Two people before a running `lipline cam`: the page's "Next face" decides whose lips the dub moves."""

import time
from pathlib import Path

import numpy as np
import pytest
from browser_hosts import Browse, Process, Served, stopping
from browser_steps import connected, join, keep, no_complaints, until

from benchmarks.scenes.two_people import FPS, openings, two_people
from realtime.media_file import read_video, write_media

pytestmark = pytest.mark.browser

LOOK_S = 4.0
# Between the press and what the film shows: the room, the next look for faces, the encoder.
SETTLE_S = 1.0


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a clip of two people who say nothing, and keep what is asked about it out of the user's own data."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    write_media(tmp_path / "people.mp4", two_people(100), FPS)
    return tmp_path / "people.mp4"


def test_next_face_moves_the_dub_to_the_other_person(
    browse: Browse, served: Served, out: Path, caller_clip: Path, people: Path
) -> None:
    page = browse(0, 1280, 900)
    join(page, served.link, "Anna")
    connected(page)
    film = people.with_name("film.mp4")
    command = Process(
        "cam", "--camera", str(people), "--dub", str(caller_clip), "--mode", "dub", "--out", str(film),
        "--i-may-use-this", "--join", served.signaling, "--token", served.token, "--name", "desk",
    )  # fmt: skip
    with stopping(command):
        group = page.get_by_role("group", name="desk")
        words, button = group.locator(".followed"), group.get_by_role("button", name="Next face")

        def follows(which: str) -> bool:
            return group.count() == 1 and words.inner_text() == f"follows the {which} of 2 faces from the left"

        until(lambda: follows("2nd"), "the larger one is followed", 60)
        command.wait_for("2nd of 2 faces")
        time.sleep(LOOK_S)
        pressed_s = time.monotonic()
        button.click()
        until(lambda: follows("1st"), "the page says that the other one is followed")
        answered_s = time.monotonic() - pressed_s
        assert page.locator("#announcer").inner_text() == "desk: follows the 1st of 2 faces from the left"
        command.wait_for("1st of 2 faces")
        page.screenshot(path=out / "camera-two-people.png")
        time.sleep(max(0.0, pressed_s + LOOK_S - time.monotonic()))
        pressed_again_s = time.monotonic()
        button.click()
        until(lambda: follows("2nd"), "and round")
        time.sleep(max(0.0, pressed_again_s + LOOK_S - time.monotonic()))
        ended_s = time.monotonic()
    no_complaints(page)

    left, right = (np.array(each) for each in openings(frame.image for frame in read_video(film, FPS)))

    def moved(from_s: float, to_s: float) -> tuple[float, float]:
        """Return how much each mouth moved in a stretch of the film, which ended with the command."""
        at = slice(*(len(left) - round(FPS * (ended_s - each)) for each in (from_s, to_s)))
        return float(np.ptp(left[at])), float(np.ptp(right[at]))

    stretches = {
        "right": moved(pressed_s - LOOK_S + SETTLE_S, pressed_s),
        "left": moved(pressed_s + SETTLE_S, pressed_again_s),
        "right again": moved(pressed_again_s + SETTLE_S, ended_s),
    }
    keep(out, "two-people", {
        "secondsToAnswer": round(answered_s, 2), "movedLeftAndRight": stretches, "idleBefore": round(served.idle, 2),
    })  # fmt: skip
    for who, (at_left, at_right) in stretches.items():
        speaks, listens = (at_left, at_right) if who == "left" else (at_right, at_left)
        assert speaks > 0.06 and listens < 0.5 * speaks, stretches
