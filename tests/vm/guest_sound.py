"""What runs in the guest: a tone through our loudspeaker and microphone classes and ALSA's loopback card.

guest_sound.py OUT.json
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "realtime" / "devices"))

from tones import RATE, judge, tone  # noqa: E402

from realtime.devices.sound import Microphone, has_sound_server  # noqa: E402
from realtime.devices.virtual_microphone import VirtualMicrophone  # noqa: E402

BLOCKS = 150


def main() -> None:
    heard: list[NDArray[np.int16]] = []
    stamps: list[float] = []

    def on_block(block: NDArray[np.int16], captured_ms: float) -> None:
        heard.append(block)
        stamps.append(captured_ms)

    speaker = VirtualMicrophone()
    # What another program would choose: the other end of the cable.
    microphone = Microphone("Loopback: PCM (hw:*,1)")
    microphone.start(on_block)
    started = time.monotonic()
    for index in range(BLOCKS):
        speaker.put(tone(index))
        time.sleep(max(0.0, started + (index + 1) * 0.02 - time.monotonic()))
    time.sleep(0.5)
    microphone.close()
    speaker.close()
    samples = np.concatenate(heard).astype(float)
    begin = int(np.argmax(np.abs(samples) > 1000.0)) + RATE // 2
    amplitude, clean = judge(samples[begin : begin + RATE])
    Path(sys.argv[1]).write_text(
        json.dumps(
            {
                "server": has_sound_server(),
                "name": speaker.name,
                "blocks": len(heard),
                "amplitude": amplitude,
                "clean": clean,
                "underruns": speaker.underruns,
                "overruns": microphone.overruns,
                "step_ms": float(np.median(np.diff(stamps))),
                "shape": list(heard[0].shape),
            }
        )
    )


if __name__ == "__main__":
    main()
