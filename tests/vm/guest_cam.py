"""What runs in the guest: `lipline cam` itself between a webcam, a microphone, a camera "lipline" and an ALSA cable.

    guest_cam.py WIDTHxHEIGHT@FPS[+unplug]... OUT.json    one start of the program for each word, films beside OUT.json

With "+unplug" the webcam's feeder is killed while the speech goes on, then the device is taken away, and comes back
under another number. Waits are in the guest's seconds. What was seen goes into OUT.json; the host judges it.
"""

import json
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from realtime.devices.v4l2 import CAPTURE, OUTPUT, capabilities

ENDS = str(Path(__file__).parent / "cam_ends.py")
RUN = Path("/run/lipline-cam")
CAMERA = "/dev/video0"
SPEAKER, MICROPHONE, LISTENER = (f"Loopback: PCM (hw:{device})" for device in ("1,0", "1,1", "0,1"))
Row = tuple[float, int, int, int, int]


class Other:
    """A process whose lines are kept with the times at which they came; killed when the test ends."""

    def __init__(self, stack: ExitStack, name: str, command: list[str]) -> None:
        self.name = name
        self.said: list[tuple[float, str]] = []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()
        stack.callback(self.kill)

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append((time.monotonic(), line.rstrip()))
            print(f"{time.monotonic():8.2f} {self.name}: {line.rstrip()}", flush=True)

    def when(self, text: str) -> float | None:
        """Return when it said something with `text` in it."""
        return next((at for at, line in list(self.said) if text in line), None)

    def wait(self, text: str, seconds: float = 40.0) -> float:
        wait_for(lambda: self.when(text) is not None or self.process.poll() is not None, seconds)
        at = self.when(text)
        assert at is not None, f"{self.name} ended: {self.said[-8:]}"
        return at

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._thread.join(timeout=5.0)


def end(stack: ExitStack, role: str, *words: str) -> Other:
    return Other(stack, role, [sys.executable, ENDS, role, *words])


def wait_for(true: Callable[[], bool], seconds: float) -> bool:
    """Wait until it is so; say whether it came to be."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def rows_of(log: Path) -> list[Row]:
    """Return what the watcher has noted by now; a line that is not whole yet is left out."""
    lines = log.read_text().split("\n")[1:-1] if log.exists() else []
    return [
        (float(at), int(number), int(same), int(marked), int(near))
        for at, number, same, marked, near in map(str.split, lines)
    ]


def run(plan: str, folder: Path, seen: dict[str, Any]) -> None:
    """Start the program, note what it gives, and end it."""
    word, _, extra = plan.partition("+")
    size, _, fps = word.partition("@")
    log, go = RUN / f"{plan}.log", RUN / f"{plan}.watch"
    times = seen["times"]
    with ExitStack() as stack:
        webcam = feeder(stack, folder, size, fps, f"{plan}.1")
        webcam.wait("sending")
        watcher = end(stack, "watch", str(folder), size, CAMERA, str(log), str(go))
        times["start"] = time.monotonic()
        program = Other(stack, "lipline", [
            sys.executable, "-m", "client.main", "cam", "--camera", "webcam", "--microphone", MICROPHONE,
            "--size", size, "--fps", fps,
        ])  # fmt: skip
        try:
            watcher.wait("ready")
            times["sending"] = program.wait("sending ", 60.0)
            # Until the first picture the device offers nothing to a reader.
            wait_for(lambda: bool(capabilities(CAMERA) & CAPTURE), 10.0)
            go.touch()
            seen["through"] = wait_for(lambda: sum(row[2] for row in rows_of(log)) >= 50, 12.0)
            if extra:
                unplug(stack, seen, webcam, program, lambda: feeder(stack, folder, size, fps, f"{plan}.2", False), log)
            times["term"] = time.monotonic()
            program.process.send_signal(signal.SIGTERM)
            seen["code"] = program.process.wait(timeout=20.0)
            times["ended"] = time.monotonic()
        finally:
            seen["said"] = program.said
            seen["rows"] = rows_of(log)
            seen["format"] = log.read_text().split("\n")[0] if log.exists() else ""
        watcher.kill()
    offered = capabilities(CAMERA)
    seen["left"] = " ".join(name for name, bit in (("capture", CAPTURE), ("output", OUTPUT)) if offered & bit)


def feeder(stack: ExitStack, folder: Path, size: str, fps: str, name: str, go: bool = True) -> Other:
    gate = RUN / f"{name}.feed"
    if go:
        gate.touch()
    other = end(stack, "feed", str(folder), size, fps, str(gate))
    other.wait("ready")
    return other


def unplug(
    stack: ExitStack, seen: dict[str, Any], webcam: Other, program: Other, again: Callable[[], Other], log: Path
) -> None:
    """Kill what feeds the webcam, take the device away, bring it back under another number."""
    times = seen["times"]
    second = again()
    times["killed"] = time.monotonic()
    webcam.kill()
    seen["marked"] = wait_for(lambda: sum(row[3] for row in rows_of(log) if row[0] > times["killed"]) >= 16, 12.0)
    program.wait("the camera is gone", 10.0)
    seen["removed"] = wait_for(unload_webcam, 10.0)
    times["removed"] = time.monotonic()
    time.sleep(0.5)
    load_webcam(7)
    (RUN / f"{seen['plan']}.2.feed").touch()
    times["back"] = second.wait("sending")
    seen["returned"] = wait_for(lambda: sum(row[2] for row in rows_of(log) if row[0] > times["back"]) >= 30, 12.0)


def load_webcam(number: int) -> None:
    words = ["exclusive_caps=1", f"video_nr={number}", "card_label=webcam"]
    subprocess.run(["modprobe", "webcam_loopback", *words], check=True)


def unload_webcam() -> bool:
    return subprocess.run(["rmmod", "webcam_loopback"], capture_output=True).returncode == 0


def main() -> None:
    *plans, out = sys.argv[1:]
    folder = Path(out).parent
    RUN.mkdir(exist_ok=True)
    subprocess.run(["modprobe", "snd-aloop", "enable=1,1", "index=0,1"], check=True)
    words = ["exclusive_caps=1", "video_nr=0", "card_label=lipline"]
    subprocess.run(["modprobe", "v4l2loopback", *words], check=True)
    load_webcam(3)
    results: dict[str, Any] = {"runs": []}
    with ExitStack() as stack:
        # They are opened before the program looks at the sound cards: to look, PortAudio opens each of them.
        end(stack, "speak", str(folder), SPEAKER).wait("ready")
        end(stack, "listen", LISTENER, str(folder / "heard.raw")).wait("ready")
        for plan in plans:
            seen: dict[str, Any] = {"plan": plan, "times": {}}
            results["runs"].append(seen)
            try:
                run(plan, folder, seen)
            except Exception:
                seen["failed"] = traceback.format_exc()
                print(seen["failed"], flush=True)
            Path(out).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
