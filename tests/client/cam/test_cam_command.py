"""`lipline cam` as a person types it: what it refuses, what it says, and a run on files without any device."""

import argparse
import io
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from memory_devices import MemoryCamera

from client.cam import parts as cam_parts
from client.cam.status import show_status, status_text
from client.errors import UsageError
from client.main import build_parser
from realtime.cam.modes import Mode
from realtime.cam.output import CamStatus
from realtime.devices.api import DeviceError, Fault, OnFrame, OnLost
from realtime.media_file import probe, read_audio, write_media
from realtime.picture.stats import ShownState
from realtime.statusline import StatusLine


def parse(*words: str) -> argparse.Namespace:
    parser = build_parser("cam")
    return parser.parse_args(["cam", *words])


STATUS = CamStatus(
    mode=Mode.THROUGH, state=ShownState.REAL, since_ms=12_400.0, fps=29.9, latency_ms=6.2, skew_ms=28.0,
    behind_ms=0.0, sound_ms=41.0, heard=True,
)  # fmt: skip


@pytest.mark.parametrize(
    "words, said",
    [
        (["--mode", "photo"], "--photo FILE"),
        (["--mode", "dub"], "--dub DEVICE"),
        (["--fps", "200"], "5 to 60"),
        (["--camera", "gone.mp4"], "no file gone.mp4"),
        (["--dub", "gone.wav"], "no file gone.wav"),
        (["--out", "film.avi"], "film.mp4"),
    ],
)
def test_what_cannot_be_is_told_with_the_remedy(words: list[str], said: str) -> None:
    options = parse(*words)
    with pytest.raises(UsageError, match=said):
        options.run(options)


@pytest.mark.parametrize("text", ["640", "640x", "641x480", "axb", "16x16"])
def test_sizes_that_cannot_be_sent_are_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--size", text)
    said = capsys.readouterr().err
    assert "640x480" in said or "even" in said


def test_an_existing_film_is_not_replaced(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.touch()
    options = parse("--out", str(film))
    with pytest.raises(UsageError, match="exists"):
        options.run(options)


def test_a_clip_is_asked_about_and_the_bundled_caller_is_not(
    tmp_path: Path, caller_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(cam_parts, "require_consent", lambda path, said_so: asked.append(path))
    clip = tmp_path / "me.mp4"
    clip.touch()
    cam_parts.check_consent(parse("--camera", str(clip)))
    cam_parts.check_consent(parse("--camera", str(caller_clip)))
    cam_parts.check_consent(parse("--camera", "HD Webcam", "--photo", "me.jpg"))
    assert asked == [clip, Path("me.jpg")]


def test_help_names_every_mode_and_its_key(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    said = capsys.readouterr().out
    for mode in Mode:
        assert f"  {mode.value} " in said
    assert "t through, p photo, d dub, a away, f next face, q quit" in said and "--i-may-use-this" in said


def test_the_status_fits_one_line() -> None:
    assert status_text(STATUS) == "through | real 12 s | 30 fps | +6 ms | lips ±28 ms | sound 41 ms"
    made = status_text(
        replace(STATUS, mode=Mode.PHOTO, state=ShownState.SYNTH, since_ms=75_000.0, behind_ms=160.0, heard=False)
    )
    assert made == "photo | synthetic 1:15 min | 30 fps | lips 160 ms late | no sound"
    assert len(made) < 80


@pytest.mark.parametrize(
    ("mode", "state", "why", "said"),
    [
        (
            Mode.THROUGH,
            ShownState.REAL,
            "the face is not in view",
            "through | real 12 s | could not step in: no face in view | 30 fps",
        ),
        (
            Mode.THROUGH,
            ShownState.STILL,
            "no face was seen yet",
            "through | standing still 12 s | paused: no face in view",
        ),
        (Mode.DUB, ShownState.SYNTH, "the head is turned away", "your own lips: head turned away"),
        (Mode.DUB, ShownState.REAL, "something is before the mouth", "your own lips: mouth covered"),
    ],
)
def test_the_status_says_why_in_plain_words(mode: Mode, state: ShownState, why: str, said: str) -> None:
    shown = replace(STATUS, mode=mode, state=state, why=why)
    text = status_text(shown)
    assert said in text and len(text) <= 100
    longest = replace(shown, since_ms=754_000.0, fps=60.0, behind_ms=300.0, heard=False)
    assert len(status_text(longest, 4, 4)) <= 100


def test_the_longest_status_fits_one_line() -> None:
    longest = replace(STATUS, state=ShownState.RETURNING, since_ms=754_000.0, fps=60.0, behind_ms=300.0)
    assert len(status_text(longest, 4, 4)) <= 100


def test_several_people_are_told() -> None:
    assert status_text(STATUS, 3).startswith("through | real 12 s | 3 faces | 30 fps")
    assert status_text(STATUS, 3, 2).startswith("through | real 12 s | 2nd of 3 faces | 30 fps")
    assert "faces" not in status_text(STATUS, 1, 1)
    stream = io.StringIO()
    line = StatusLine(stream)
    for faces, why in ((1, None), (2, None), (2, None), (2, "the head is turned away"), (2, None)):
        show_status(line, replace(STATUS, why=why), faces)
    assert len(stream.getvalue().splitlines()) == 4
    for followed in (1, 1, 2, 0):
        show_status(line, STATUS, 2, followed)
    assert len(stream.getvalue().splitlines()) == 7


def test_without_a_terminal_only_changes_are_told() -> None:
    stream = io.StringIO()
    line = StatusLine(stream)
    real, synth = ShownState.REAL, ShownState.SYNTH
    for state in (real, real, synth, synth, real):
        show_status(line, replace(STATUS, state=state))
    assert len(stream.getvalue().splitlines()) == 3


def test_on_a_terminal_one_line_is_drawn_over_and_over() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    line = StatusLine(stream)
    show_status(line, STATUS)
    line.say("the camera is gone")
    show_status(line, STATUS)
    line.clear()
    assert stream.getvalue().count("\n") == 1 and stream.getvalue().endswith(" \r")


def test_a_busy_camera_ends_it_with_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Busy(MemoryCamera):
        def start(self, on_frame: OnFrame, on_lost: OnLost) -> None:
            raise DeviceError(Fault.BUSY, "HD Webcam is in use by zoom: close it there")

    monkeypatch.setattr("realtime.devices.camera.Webcam", lambda *_: Busy())
    options = parse("--out", str(tmp_path / "o.mp4"))
    with pytest.raises(UsageError, match="in use by zoom"):
        options.run(options)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    t = np.arange(2 * 48_000) / 48_000
    tone = (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    frames = [np.full((96, 128, 3), 4 * i, np.uint8) for i in range(50)]
    write_media(tmp_path / "clip.mp4", frames, 25, tone)
    return tmp_path / "clip.mp4"


def test_a_clip_goes_through_to_a_film_with_its_sound(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("client.cam.consent.data_folder", lambda: tmp_path / "data")
    film = tmp_path / "film.mp4"
    options = parse("--camera", str(clip), "--out", str(film), "--seconds", "2", "--i-may-use-this")
    options.run(options)
    seen = probe(film)
    assert (seen.width, seen.height, seen.fps) == (128, 96, 25.0)
    assert np.abs(read_audio(film, 48_000)).max() > 0.2
    assert not list(tmp_path.glob("*.part"))


def test_ctrl_c_finishes_the_film(clip: Path, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    command = [
        sys.executable,
        "-m",
        "client.main",
        "cam",
        "--camera",
        str(clip),
        "--out",
        str(film),
        "--i-may-use-this",
    ]
    running = subprocess.Popen(
        command,
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path / "data")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    for line in running.stderr:
        if "| real" in line:
            break
    running.send_signal(signal.SIGINT)
    said, complained = running.communicate(timeout=180)
    assert running.returncode == 130 and f"wrote {film}" in said
    assert "Traceback" not in complained
    assert probe(film).has_video and not list(tmp_path.glob("*.part"))
