"""Pictures that say which one they are, and senders and readers of them, each in a process of its own."""

import sys
import time
from pathlib import Path

import numpy as np

from realtime.devices.api import Pixels


def picture(index: int, size: tuple[int, int]) -> Pixels:
    """Return picture number `index` (0..255) as I420, every byte a function of place and number."""
    width, height = size
    rows, columns = np.ogrid[: height * 3 // 2, :width]
    noise = (rows * 7 + columns * 13 + (rows * columns >> 6) + index * 3) & 0xFF
    noise[:8, :8] = index
    return np.ascontiguousarray(noise, np.uint8)


def number_of(i420: Pixels) -> int:
    """Return which picture this is."""
    return int(i420[4, 4])


def send(label: str, width: int, height: int, fps: float, stop: Path, *, seconds: float = 120.0) -> None:
    """Send pictures 0 to 255 over and over to the virtual camera `label` until `stop` exists; say when it began."""
    from realtime.devices.virtual_camera import VirtualCamera

    pictures = [picture(index, (width, height)) for index in range(0, 256, 8)]
    camera = VirtualCamera((width, height), fps, label=label)
    started = time.monotonic()
    index = 0
    while not stop.exists() and time.monotonic() - started < seconds:
        camera.send(pictures[index % len(pictures)])
        if index == 1:
            print("sending", camera.name, flush=True)
        index += 1
        time.sleep(max(0.0, started + index / fps - time.monotonic()))
    camera.close()
    print(f"sent {index} in {time.monotonic() - started:.2f} s", flush=True)


def read(path: str, count: int) -> None:
    """Read `count` pictures as another program would, with PyAV alone, and compare every byte."""
    import av

    with av.open(path, format="v4l2") as container:
        stream = container.streams.video[0]
        numbers = []
        for frame in container.decode(stream):
            i420 = np.asarray(frame.to_ndarray(), np.uint8)
            size = (frame.width, frame.height)
            assert frame.format.name == "yuv420p", frame.format.name
            assert np.array_equal(i420, picture(number_of(i420), size)), f"picture {number_of(i420)} came changed"
            numbers.append(number_of(i420))
            if len(numbers) == 1:
                print("reading", flush=True)
            if len(numbers) == count:
                break
        rate = float(stream.average_rate or 0)
    print(f"read {count} of {size[0]}x{size[1]} at {rate:g}/s, {len(set(numbers))} different", flush=True)
    assert len(set(numbers)) > 1, "the same picture over and over"


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]), Path(sys.argv[6]))
    else:
        read(sys.argv[2], int(sys.argv[3]))
