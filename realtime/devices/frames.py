"""Decoded pictures of PyAV as camera frames: BGR for the filter, I420 for whoever sends it on."""

from typing import Any, Final

import numpy as np

from realtime.devices.api import CameraFrame, Pixels

_PLANAR: Final = "yuv420p"


def camera_frame(frame: Any, captured_ms: float) -> CameraFrame:
    """Return an `av.VideoFrame` as a camera frame.

    The camera's own bytes become `i420` where it gives 4:2:0 (I420; NV12 with its chroma sorted apart); MJPEG, whose
    levels go from 0 to 255, is brought into video range.
    """
    image: Pixels = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    i420: Pixels | None = None
    if frame.width % 2 == 0 and frame.height % 2 == 0:
        planar = frame if frame.format.name == _PLANAR else frame.reformat(format=_PLANAR)
        i420 = np.asarray(planar.to_ndarray(), np.uint8)
    return CameraFrame(image, i420, captured_ms)
