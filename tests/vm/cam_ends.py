"""The programs around `lipline cam` in the guest: a webcam, somebody who watches, one who speaks, one who listens.

    cam_ends.py feed FOLDER WIDTHxHEIGHT FPS GO          send the film to the camera "webcam" once the file GO exists
    cam_ends.py watch FOLDER WIDTHxHEIGHT PATH LOG GO    read a camera with PyAV, note each picture
    cam_ends.py speak FOLDER DEVICE                      play the speech over and over
    cam_ends.py listen DEVICE FILE                       write what is heard, and to FILE.times when

Each says "ready" when it is, and goes on until it is killed.
"""

import sys
import time
from pathlib import Path

import numpy as np

from realtime.devices.api import Pixels
from tests.vm.numbered_film import SPEECH, BadgeFinder, badge_name, film_name, number_of

BLOCK = 960
ROUNDING = 4
KEPT = (5, 25, 60)
"""Which of the made pictures are kept for people to look at."""


def _size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def _apart(one: Pixels, other: Pixels) -> int:
    return int(np.abs(one.astype(np.int16) - other).max())


def _await(go: Path) -> None:
    print("ready", flush=True)
    while not go.exists():
        time.sleep(0.02)


def feed(folder: Path, size: tuple[int, int], fps: float, go: Path) -> None:
    """Be the webcam, at its rate as long as there is time, never hurrying after."""
    from realtime.devices.virtual_camera import VirtualCamera

    film = np.load(folder / film_name(size))
    _await(go)
    camera = VirtualCamera(size, fps, label="webcam")
    assert camera.name == "webcam", camera.name
    due, index = time.monotonic(), 0
    while True:
        camera.send(film[index % len(film)])
        if index == 0:
            print("sending", flush=True)
        index += 1
        due = max(due + 1.0 / fps, time.monotonic() - 0.5 / fps)
        time.sleep(max(0.0, due - time.monotonic()))


def watch(folder: Path, size: tuple[int, int], path: str, log: Path, go: Path) -> None:
    """Write for each picture: when, its number, whether it is the webcam's own bytes, whether it has the badge.

    The last column says whether it is at least what the webcam showed, to the rounding of colours.
    """
    import av

    film, badge = np.load(folder / film_name(size)), BadgeFinder(folder / badge_name(size))
    _await(go)
    made = 0
    with av.open(path, format="v4l2") as container, log.open("w", buffering=1) as lines:
        stream = container.streams.video[0]
        lines.write(f"{stream.width}x{stream.height} {stream.pix_fmt} {float(stream.average_rate or 0):g}\n")
        for frame in container.decode(stream):
            i420 = np.asarray(frame.to_ndarray(), np.uint8)
            number = number_of(i420)
            same = number < len(film) and np.array_equal(i420, film[number])
            marked = not same and badge.on(i420)
            near = same or (number < len(film) and _apart(i420, film[number]) <= ROUNDING)
            lines.write(f"{time.monotonic():.4f} {number} {int(same)} {int(marked)} {int(near)}\n")
            made += marked
            if marked and made in KEPT:
                np.save(folder / f"made-{size[0]}x{size[1]}-{made}.npy", i420)


def speak(folder: Path, device: str) -> None:
    """Be what the microphone hears."""
    import sounddevice

    speech = np.load(folder / SPEECH)
    with sounddevice.RawOutputStream(48_000, BLOCK, device, 1, "int16", latency=0.2) as stream:
        print("ready", flush=True)
        at = 0
        while True:
            stream.write(speech[at : at + BLOCK].tobytes())
            at = at + BLOCK if at + 2 * BLOCK <= speech.size else 0


def listen(device: str, file: str) -> None:
    """Be the other side."""
    import sounddevice

    with (
        open(file, "wb", buffering=0) as out,
        open(f"{file}.times", "w", buffering=1) as times,
        sounddevice.RawInputStream(48_000, BLOCK, device, 1, "int16", latency=0.2) as stream,
    ):
        print("ready", flush=True)
        while True:
            data, lost = stream.read(BLOCK)
            out.write(bytes(data))
            times.write(f"{time.monotonic():.4f} {int(lost)}\n")


if __name__ == "__main__":
    role, *words = sys.argv[1:]
    if role == "feed":
        feed(Path(words[0]), _size(words[1]), float(words[2]), Path(words[3]))
    elif role == "watch":
        watch(Path(words[0]), _size(words[1]), words[2], Path(words[3]), Path(words[4]))
    elif role == "speak":
        speak(Path(words[0]), words[1])
    else:
        listen(words[0], words[1])
