"""Every command ends soon after SIGINT or SIGTERM, in every state, with its file whole.

The commands run as processes. How long an end takes is a command's own business: it gives up when a thread holds it up
(`realtime.ending`), and says so; that is what is looked for here. A slow machine is given all the time that it wants by
LIPLINE_GRACE_S, so no verdict depends on a clock.
"""

import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from realtime.media_file import probe, read_video

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240.0
INTERRUPTED = 130
GAVE_UP = "ended all the same"


class Program:
    """A `lipline` command in a process of its own, with what it printed so far in a file."""

    def __init__(self, folder: Path, *arguments: str, grace_s: float = PATIENCE_S, code: str = "") -> None:
        self._log = folder / f"{time.monotonic_ns()}.log"
        run = ["-c", code] if code else ["-m", "client.main", *arguments]
        environment = {**os.environ, "LIPLINE_GRACE_S": str(grace_s), "PYTHONUNBUFFERED": "1"}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *run], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until(self, true: Callable[[], bool], what: str) -> None:
        """Wait for a condition while the process lives."""
        until = time.monotonic() + PATIENCE_S
        while not true():
            assert self.process.poll() is None, f"it ended before {what}:\n{self.said()}"
            assert time.monotonic() < until, f"never {what}:\n{self.said()}"
            time.sleep(0.05)

    def wait_for(self, text: str) -> str:
        """Wait until it has said `text`; return that line."""
        self.wait_until(lambda: text in self.said(), f"said {text!r}")
        return next(line for line in self.said().splitlines() if text in line)

    def end_by(self, how: signal.Signals) -> str:
        """Send a signal and return all that it said; it must have ended by itself."""
        self.process.send_signal(how)
        assert self.process.wait(PATIENCE_S) == INTERRUPTED, self.said()
        assert GAVE_UP not in self.said() and "Traceback" not in self.said(), self.said()
        return self.said()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Start(Protocol):
    """Run a command; `code` in its place is a program of Python. It is killed when the test ends."""

    def __call__(self, *arguments: str | Path, grace_s: float = PATIENCE_S, code: str = "") -> Program: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(*arguments: str | Path, grace_s: float = PATIENCE_S, code: str = "") -> Program:
            program = Program(tmp_path, *map(str, arguments), grace_s=grace_s, code=code)
            stack.callback(program.kill)
            return program

        yield begin


both = pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])


def whole(film: Path) -> bool:
    """Return whether a film is there from its first to its last picture, and nothing unfinished beside it."""
    assert not list(film.parent.glob("*.part")), list(film.parent.iterdir())
    pictures = sum(1 for _ in read_video(film))
    return pictures > 0 and abs(pictures * 1000.0 / probe(film).fps - probe(film).duration_ms) < 250.0


def serve(start: Start) -> tuple[Program, str]:
    program = start("serve", "--port", "0", "--token", "tok", "--no-filter")
    return program, program.wait_for("join with").split()[4]


def test_a_recording_is_whole_when_its_server_is_gone_and_a_signal_follows(
    start: Start, caller_clip: Path, tmp_path: Path
) -> None:
    film = tmp_path / "seen.mp4"
    server, url = serve(start)
    caller = start("call", url, "--token", "tok", "--clip", caller_clip)
    caller.wait_for("In the call")
    viewer = start("call", url, "--token", "tok", "--view", film)
    viewer.wait_until(lambda: film.with_name("seen.mp4.part").exists(), "began its file")
    viewer.wait_until(lambda: film.with_name("seen.mp4.part").stat().st_size > 20_000, "recorded pictures")
    # The server dies without a goodbye: nobody answers the viewer's.
    server.process.send_signal(signal.SIGSTOP)
    said = viewer.end_by(signal.SIGTERM)
    assert whole(film) and "stopped" in said
    caller.end_by(signal.SIGINT)


def test_a_recording_is_whole_when_the_server_says_goodbye(start: Start, caller_clip: Path, tmp_path: Path) -> None:
    film = tmp_path / "seen.mp4"
    server, url = serve(start)
    start("call", url, "--token", "tok", "--clip", caller_clip).wait_for("In the call")
    viewer = start("call", url, "--token", "tok", "--view", film)
    viewer.wait_until(lambda: film.with_name("seen.mp4.part").exists(), "began its file")
    viewer.wait_until(lambda: film.with_name("seen.mp4.part").stat().st_size > 20_000, "recorded pictures")
    server.end_by(signal.SIGTERM)
    assert viewer.process.wait(PATIENCE_S) == 2
    assert "join again when it is back" in viewer.said() and whole(film)


def test_a_dub_that_is_stopped_leaves_no_file(start: Start, caller_clip: Path, tmp_path: Path) -> None:
    program = start("dub", caller_clip, caller_clip, tmp_path / "out.mp4")
    program.wait_until(lambda: (tmp_path / "out.mp4.part").exists(), "began its file")
    program.end_by(signal.SIGTERM)
    assert not list(tmp_path.glob("out.mp4*"))


def test_a_demonstration_takes_its_processes_along(start: Start, tmp_path: Path) -> None:
    program = start("demo", "--out", tmp_path / "demo")
    program.wait_until(lambda: bool(children(program)), "started its processes")
    others = children(program)
    program.end_by(signal.SIGTERM)
    assert not [pid for pid in others if Path(f"/proc/{pid}").exists() and not zombie(pid)]


def children(program: Program) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(program.process.pid)], capture_output=True, text=True).stdout
    return [int(pid) for pid in listed.split()]


def zombie(pid: int) -> bool:
    return " Z " in Path(f"/proc/{pid}/stat").read_text()


def test_a_preparation_that_is_stopped_leaves_no_half_shard(start: Start, caller_clip: Path, tmp_path: Path) -> None:
    program = start("prepare", caller_clip, "--out", tmp_path / "shards")
    program.wait_until(lambda: bool(children(program)), "started its workers")
    program.end_by(signal.SIGTERM)
    assert not list((tmp_path / "shards").rglob("*.part")) and not list((tmp_path / "shards").glob("*.tar"))


def test_an_enrolment_leaves_no_file(start: Start, caller_clip: Path, tmp_path: Path) -> None:
    program = start("enroll", caller_clip, "--out", tmp_path / "me.onnx")
    program.wait_until(lambda: bool(children(program)), "started its workers")
    program.end_by(signal.SIGTERM)
    assert not list(tmp_path.glob("me.onnx*"))


def test_a_training_keeps_its_checkpoint(start: Start, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    if shutil.which("espeak-ng") is None:
        pytest.skip("needs espeak-ng: apt-get install espeak-ng")
    small = ("voices.synthetic=4", "voices.sentences=2", "mixes.count=8", "mixes.held_out=2", "mixes.seconds=4")
    program = start(
        "train", "near", "--config", ROOT / "train" / "configs" / "near.toml", "--run", tmp_path / "run",
        "--out", tmp_path / "near.onnx", "--set", *small, "loop.checkpoint_s=0.1",
    )  # fmt: skip
    program.wait_until(lambda: (tmp_path / "run" / "checkpoint.pt").exists(), "kept a checkpoint")
    assert "a checkpoint is written" in program.end_by(signal.SIGTERM)
    assert (tmp_path / "run" / "checkpoint.pt").exists() and not (tmp_path / "near.onnx").exists()


def test_an_evaluation_of_a_file_that_gives_no_answer(start: Start, tmp_path: Path) -> None:
    """As on a network drive that is away: here a pipe that nobody writes to."""
    pytest.importorskip("torch")
    folder = tmp_path / "shards"
    folder.mkdir()
    os.mkfifo(pipe := folder / "train-000000.tar")
    program = start("evaluate", "lite", folder, "--out", tmp_path / "report")
    program.wait_until(lambda: opened(pipe), "opened the file")
    program.end_by(signal.SIGTERM)


def test_a_conversion_leaves_no_file(start: Start, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from models.expert.network import SyncNet

    # Not under pytest's folders, which keep the last three runs, at 65 MB each.
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "expert.pth"
        torch.save(SyncNet().state_dict(), checkpoint)
        program = start("convert", checkpoint, tmp_path / "out.onnx")
        program.wait_until(lambda: loaded(program, "libtorch_cpu"), "loaded torch")
        program.end_by(signal.SIGTERM)
    assert not list(tmp_path.glob("out.onnx*"))


def test_the_doctor_leaves_when_told(start: Start) -> None:
    program = start("doctor")
    program.wait_until(lambda: loaded(program, "cv2"), "began its checks")
    program.process.send_signal(signal.SIGTERM)
    # It loads one library after the other; one that swallows the exception is loaded to its end.
    assert program.process.wait(PATIENCE_S) == INTERRUPTED, program.said()
    assert GAVE_UP not in program.said() and "stopped" in program.said()


def loaded(program: Program, library: str) -> bool:
    return library in Path(f"/proc/{program.process.pid}/maps").read_text()


def opened(pipe: Path) -> bool:
    """Return whether a program waits in opening `pipe`: somebody who writes to it without waiting is let in."""
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


HANGING = """
import sys, threading, time
from realtime import ending
ending.on_signals()
threading.Thread(target=time.sleep, args=(3600,)).start()
print("hangs", flush=True)
time.sleep(3600)
"""


@both
def test_what_hangs_is_given_up(how: signal.Signals, start: Start) -> None:
    program = start(code=HANGING, grace_s=0.3)
    program.wait_for("hangs")
    program.process.send_signal(how)
    assert program.process.wait(PATIENCE_S) == INTERRUPTED
    assert GAVE_UP in program.said()


ASKED = """
import signal
from realtime import ending
ending.on_signals()
print("before", ending.left_s())
try:
    signal.raise_signal(signal.SIGTERM)
except KeyboardInterrupt:
    print("after", ending.left_s())
"""


def test_who_is_asked_to_end_knows_how_long_it_has(start: Start) -> None:
    program = start(code=ASKED)
    assert program.process.wait(PATIENCE_S) == 0, program.said()
    before, after = (float(line.split()[1]) for line in program.said().splitlines())
    assert before == math.inf and 0.0 < after <= PATIENCE_S


INTERRUPTED_IN_TEXT = """
from realtime import ending
ending.on_signals()
try:
    exec("raise KeyboardInterrupt")
except KeyboardInterrupt:
    ending.leave(ending.INTERRUPTED)
"""


def test_an_interrupt_in_code_made_from_a_string_changes_no_exit_code(tmp_path: Path) -> None:
    """As when a signal comes while a dataclass is made: `python -m` would be seen to die of SIGINT."""
    (tmp_path / "interrupted.py").write_text(INTERRUPTED_IN_TEXT)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    ended = subprocess.run([sys.executable, "-m", "interrupted"], env=environment, timeout=PATIENCE_S)
    assert ended.returncode == INTERRUPTED


def test_a_camera_to_a_file_is_whole_and_what_a_killed_one_left_is_kept_and_plays(
    start: Start, caller_clip: Path, tmp_path: Path
) -> None:
    film = tmp_path / "out.mp4"
    arguments = ("cam", "--camera", caller_clip, "--out", film, "--microphone", "none", "--i-may-use-this")
    program = start(*arguments)
    program.wait_until(lambda: film.with_name("out.mp4.part").exists(), "began its file")
    program.wait_until(lambda: film.with_name("out.mp4.part").stat().st_size > 400_000, "recorded pictures")
    program.kill()
    again = start(*arguments)
    rescued = film.with_name("out.rescued1.mp4")
    again.wait_until(rescued.exists, "kept what the other left")
    again.wait_until(lambda: film.with_name("out.mp4.part").exists(), "began its file")
    again.wait_until(lambda: film.with_name("out.mp4.part").stat().st_size > 20_000, "recorded pictures")
    again.end_by(signal.SIGTERM)
    assert whole(film)
    assert sum(1 for _ in read_video(rescued)) > 10
