"""What runs in the guest: our virtual camera and our webcam against real v4l2loopback devices.

    guest_camera.py OUT.json    /dev/video0 is "lipline", /dev/video1 is "webcam"

Each step's result goes into OUT.json; the test on the host judges it. A step that fails
does not keep the others from running.
"""

import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from realtime.devices.api import CameraFrame, DeviceError
from realtime.devices.camera import Webcam
from realtime.devices.names import list_video
from realtime.devices.v4l2 import CAPTURE, OUTPUT, capabilities, fixed_format, free_output
from realtime.devices.virtual_camera import VirtualCamera
from tests.vm.camera_frames import number_of, picture

FRAMES = str(Path(__file__).parent / "camera_frames.py")
RUN = Path("/run/lipline-test")
STAYS = 80
"""Pictures for the reader that stays: more than the first sender has time for."""
results: dict[str, object] = {}


def step(work: Callable[[], object]) -> None:
    """Run one step and note what it returned, or how it failed."""
    started = time.monotonic()
    try:
        results[work.__name__] = work()
    except Exception:
        results[work.__name__] = {"failed": traceback.format_exc()}
    print(f"{work.__name__}: {time.monotonic() - started:.1f} s {results[work.__name__]}", flush=True)


def caps(path: str) -> str:
    offered = capabilities(path)
    return " ".join(name for name, bit in (("capture", CAPTURE), ("output", OUTPUT)) if offered & bit)


class Sender:
    """Another process that sends; `with` waits until it does."""

    def __init__(self, label: str, size: tuple[int, int], fps: float) -> None:
        self.stop = RUN / f"stop-{time.monotonic_ns()}"
        command = [sys.executable, FRAMES, "send", label, str(size[0]), str(size[1]), str(fps), str(self.stop)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.first = self.process.stdout.readline().strip()

    def end(self) -> str:
        self.stop.touch()
        return self.process.communicate(timeout=30)[0].strip()


def read_by_another(path: str, count: int) -> str:
    done = subprocess.run(
        [sys.executable, FRAMES, "read", path, str(count)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip().splitlines()[-1]


def version() -> str:
    """Return the module's release; 0.12 does not say."""
    file = Path("/sys/module/v4l2loopback/version")
    return file.read_text().strip() if file.exists() else "0.12"


def names() -> list[tuple[str, str, bool, bool]]:
    return [(device.path, device.name, device.loopback, device.ours) for device in list_video()]


def small() -> str:
    return through((640, 480), 25.0)


def large() -> str:
    return through((1280, 720), 30.0)


def through(size: tuple[int, int], fps: float) -> str:
    sender = Sender("lipline", size, fps)
    assert sender.first == "sending lipline", sender.first
    try:
        seen = read_by_another("/dev/video0", 12)
    finally:
        sent = sender.end()
    return f"{seen}; {sent}; then {caps('/dev/video0')}"


def reopened() -> list[tuple[str, str]]:
    """Open three times; between them the module would offer nothing without the remedy."""
    seen = []
    for size in ((640, 480), (1280, 720), (640, 480)):
        camera = VirtualCamera(size, 25.0)
        still = picture(8, size)
        for _ in range(3):
            camera.send(still)
        during = f"{caps('/dev/video0')} {fixed_format('/dev/video0')}"
        camera.close()
        seen.append((during, caps("/dev/video0")))
    return seen


def mended_after_a_crash() -> str:
    """A sender that is killed leaves the device without OUTPUT; the next one mends it."""
    sender = Sender("lipline", (640, 480), 25.0)
    sender.process.kill()
    sender.process.wait()
    left = caps("/dev/video0")
    camera = VirtualCamera((640, 480), 25.0)
    camera.send(picture(0, (640, 480)))
    camera.close()
    return f"left with [{left}], then [{caps('/dev/video0')}]"


def busy() -> str:
    sender = Sender("lipline", (640, 480), 25.0)
    try:
        VirtualCamera((640, 480), 25.0).close()
    except DeviceError as error:
        return f"{error.fault.value}: {error}".replace(str(sender.process.pid), "PID")
    finally:
        sender.end()
    return "opened twice"


def held_by_a_reader() -> str:
    """Another program opened the camera while 640x480 was sent, and keeps it open."""
    camera = VirtualCamera((640, 480), 25.0)
    camera.send(picture(0, (640, 480)))
    with open("/dev/video0", "rb", buffering=0) as device:
        reader = subprocess.Popen(["sleep", "60"], stdin=device)
    camera.close()
    try:
        again = VirtualCamera((640, 480), 25.0)
        again.close()
        VirtualCamera((1280, 720), 30.0).close()
    except DeviceError as error:
        return f"same size opened again; {error.fault.value}: {error}"
    finally:
        reader.kill()
        reader.wait()
    return "opened in another size"


def freed_for_nothing() -> list[str]:
    """The remedy for a camera that has lost OUTPUT, where nothing was lost."""
    free_output("/dev/video0")
    idle = caps("/dev/video0")
    seen = through((640, 480), 25.0)
    return [idle, seen]


def reader_stays() -> dict[str, object]:
    """One sender ends, another begins; a program reads all the while. The camera never loses what it must offer."""
    first = Sender("lipline", (640, 480), 15.0)
    command = [sys.executable, FRAMES, "read", "/dev/video0", str(STAYS)]
    reader = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert reader.stdout is not None
    begun = reader.stdout.readline().strip()
    sent = first.end()
    between = caps("/dev/video0")
    second = Sender("lipline", (640, 480), 15.0)
    try:
        out = reader.communicate(timeout=40)[0].strip()
    finally:
        reader.kill()
        second.end()
    return {"begun": begun, "sent": sent, "between": between, "second": second.first, "read": out, "wanted": STAYS}


def webcam_returns() -> dict[str, object]:
    """Our webcam class reads "webcam"; what feeds it dies, the devices get other numbers, and it comes back."""
    seen: list[tuple[float, bool]] = []
    lost: list[str] = []

    def on_frame(frame: CameraFrame) -> None:
        assert frame.i420 is not None
        good = (frame.i420 == picture(number_of(frame.i420), (640, 480))).all()
        seen.append((time.monotonic() * 1000.0 - frame.captured_ms, bool(good)))

    feeder = Sender("webcam", (640, 480), 15.0)
    camera = Webcam("", (640, 480), 15.0)
    camera.start(on_frame, lambda error: lost.append(error.fault.value))
    wait_for(lambda: len(seen) >= 10)
    before, first_name = len(seen), camera.name
    feeder.process.kill()
    feeder.process.wait()
    wait_for(lambda: bool(lost))
    # Reloading changes the numbers: "webcam" was /dev/video1 and becomes /dev/video5.
    wait_for(unload)
    load("5,6", "webcam,lipline")
    feeder = Sender("webcam", (640, 480), 15.0)
    at = [device.path for device in list_video() if device.name == "webcam"]
    wait_for(lambda: len(seen) >= before + 10)
    camera.close()
    feeder.end()
    return {
        "name": first_name, "at": at, "before": before, "after": len(seen) - before, "lost": lost,
        "identical": all(good for _, good in seen), "age_ms": sorted(age for age, _ in seen)[len(seen) // 2],
    }  # fmt: skip


def never_our_own() -> str:
    try:
        Webcam("lipline").start(lambda frame: None, lambda error: None)
    except DeviceError as error:
        return str(error)
    return "took it"


def unload() -> bool:
    return subprocess.run(["rmmod", "v4l2loopback"], capture_output=True).returncode == 0


def load(numbers: str, labels: str) -> None:
    command = ["modprobe", "v4l2loopback", "exclusive_caps=1,1", f"video_nr={numbers}", f"card_label={labels}"]
    subprocess.run(command, check=True)


def wait_for(true: Callable[[], bool], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


if __name__ == "__main__":
    RUN.mkdir(exist_ok=True)
    load("0,1", "lipline,webcam")
    for work in (
        version, names, small, large, reopened, mended_after_a_crash, busy, held_by_a_reader, freed_for_nothing,
        reader_stays, never_our_own, webcam_returns,
    ):  # fmt: skip
        step(work)
        Path(sys.argv[1]).write_text(json.dumps(results))
