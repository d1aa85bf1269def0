"""A running `lipline cam` switched from the page of `lipline serve`, and what the page says of it."""

from pathlib import Path

import cv2
import pytest
from browser_hosts import Browse, Process, Served, stopping
from browser_steps import connected, join, no_complaints, until
from test_page_alone import CONTRAST, NAMES, OVERFLOW

from realtime.media_file import read_video

pytestmark = pytest.mark.browser


@pytest.fixture
def photo(caller_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a picture of the bundled caller, and keep what is asked about it out of the user's own data."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    cv2.imwrite(str(tmp_path / "me.jpg"), next(read_video(caller_clip)).image)
    return tmp_path / "me.jpg"


def test_a_page_switches_a_running_camera(
    browse: Browse, served: Served, out: Path, caller_clip: Path, photo: Path
) -> None:
    page = browse(0, 1280, 900)
    join(page, served.link, "Anna")
    connected(page)
    assert page.locator("#cameras").is_hidden()
    film = photo.with_name("film.mp4")
    command = Process(
        "cam", "--camera", str(caller_clip), "--photo", str(photo), "--out", str(film), "--i-may-use-this",
        "--join", served.signaling, "--token", served.token, "--name", "desk",
    )  # fmt: skip
    with stopping(command):
        group = page.get_by_role("group", name="desk")
        words = group.locator(".state-words")
        until(lambda: group.count() == 1 and words.inner_text().startswith("real since"), "the camera is there", 60)
        assert page.locator(".tile").count() == 0, "a camera is nobody in the call"
        assert group.get_by_role("button", name="Dub").is_disabled(), "there is no other voice"
        assert group.get_by_role("button", name="Next face").is_disabled(), "there is one face only"

        def chosen(name: str) -> bool:
            return group.get_by_role("button", name=name).get_attribute("aria-pressed") == "true"

        assert chosen("Through")
        group.get_by_role("button", name="Away").click()
        command.wait_for("lipline cam: away |")
        until(lambda: chosen("Away") and words.inner_text().startswith("synthetic since"), "away is shown")
        page.screenshot(path=out / "camera-1280.png")
        group.get_by_role("button", name="Photo").focus()
        page.keyboard.press("Enter")
        command.wait_for("lipline cam: photo |")
        until(lambda: chosen("Photo") and not chosen("Away"), "the photo is shown")

        page.set_viewport_size({"width": 390, "height": 844})
        group.get_by_role("button", name="Next face").focus()
        group.get_by_role("button", name="Next face").evaluate("button => button.scrollIntoView({block: 'nearest'})")
        page.screenshot(path=out / "camera-390.png")
        assert page.evaluate(OVERFLOW) == 0 and page.evaluate(NAMES) == [] and page.evaluate(CONTRAST) == []
        heights = group.locator("button").evaluate_all("all => all.map((each) => each.getBoundingClientRect().height)")
        assert min(heights) >= 44, "a thumb hits it"
        lowest = page.get_by_role("button", name="Next face").bounding_box()
        tools = page.locator(".tools").bounding_box()
        assert lowest is not None and tools is not None and lowest["y"] + lowest["height"] <= tools["y"]
        group.get_by_role("button", name="Through").click()
        command.wait_for("lipline cam: through | real")
    until(lambda: page.locator("#cameras").is_hidden(), "the camera is gone")
    no_complaints(page)


STATE = {
    "type": "camera-state", "mode": "through", "modes": ["through", "away"], "state": "real", "since_ms": 4200.0,
    "fps": 24.6, "faces": 2,
}  # fmt: skip


def test_what_a_page_says_of_a_camera(browse: Browse, port: int) -> None:
    page = browse(0, 390, 600)
    page.goto(f"http://127.0.0.1:{port}/icon.svg")

    def run(function: str, given: object = None) -> object:
        return page.evaluate(f"async (given) => ({function})(await import('/camera.js'), given)", given)

    words = "(m, [s, age]) => m.cameraWords(m.readState(s), age).words"
    assert run(words, [STATE, 1000]) == "real since 5 s, 25 fps"
    whom = "(m, [s, age]) => m.followedWords(m.readState(s), age)"
    assert run(whom, [STATE | {"faces": 3, "followed": 2}, 0]) == "follows the 2nd of 3 faces from the left"
    for none in ({}, {"faces": 1, "followed": 1}, {"faces": 2, "followed": 5}, {"followed": "x"}):
        assert run(whom, [STATE | none, 0]) == ""
    assert run(whom, [STATE | {"followed": 1}, 8000]) == ""
    assert run(words, [STATE | {"state": "waiting", "fps": 0}, 0]) == "no picture yet"
    assert run(words, [STATE, 8000]) == "does not answer"
    can = "(m, [s, age]) => [...m.possible(m.readState(s), age)].sort()"
    assert run(can, [STATE, 0]) == ["away", "face", "through"]
    assert run(can, [STATE | {"faces": 1, "modes": ["photo", "party"]}, 0]) == ["photo"]
    assert run(can, [STATE, 8000]) == []
    bad = [
        {},
        {"type": "camera-state"},
        STATE | {"mode": "party"},
        STATE | {"state": 7},
        STATE | {"modes": "all"},
        None,
    ]
    for message in bad:
        assert run("(m, s) => m.readState(s)", message) is None
    tamed = STATE | {"since_ms": -1, "fps": "many", "faces": None, "detail": "x" * 900}
    script = "(m, s) => { const r = m.readState(s); return [r.sinceMs, r.fps, r.faces, r.detail.length]; }"
    assert run(script, tamed) == [0, 0, 0, 256]
