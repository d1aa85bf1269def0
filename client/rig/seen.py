"""The one record of what a viewer received, and how the sound in it is laid out by its RTP timestamps."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.rig.picture import brightness
from client.rig.sound import AUDIO_RATE, Samples
from client.rig.timeline import Floats
from realtime.serial import unwrap

Sound = tuple[float, int, Samples]
"""Arrival in ms, 32-bit RTP timestamp at 48 kHz, int16 mono samples."""


@dataclass(frozen=True, slots=True)
class ViewerRecord:
    """What the viewer received; times in ms of the call.

    Attributes:
        frame_ms: (n,) float64 arrival of each decoded picture.
        media_ms: (n,) float64 its time on the sender's clock, from an unknown zero.
        differs: (n,) whether it differs from the one before it.
        small: (n, 36, 48) uint8 brightness, by which frames of the clip are recognised.
        frames: (n, H * 3 / 2, W) uint8 planar YUV 4:2:0 as decoded; none where pictures were only measured.
        sound_ms: (m,) float64 arrival of each packet of sound.
        late_ms: (m,) float64 how much later than the quickest packet it came, by its RTP timestamp.
        samples: int16 48 kHz mono by timestamp, the quickest packet on arrival; sample 0 belongs to time 0 of the call.
    """

    frame_ms: Floats
    media_ms: Floats
    differs: NDArray[np.bool_]
    small: NDArray[np.uint8]
    frames: NDArray[np.uint8]
    sound_ms: Floats
    late_ms: Floats
    samples: Samples

    @property
    def luma(self) -> NDArray[np.uint8]:
        """Brightness planes (n, H, W) of `frames`: a view."""
        return brightness(self.frames)

    def save(self, path: Path) -> None:
        """Write to an uncompressed npz file."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "ViewerRecord":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as data:
            return cls(**{field.name: data[field.name] for field in fields(cls)})


def lay_out(sounds: list[Sound], zero_ms: float, end_ms: float) -> Samples:
    """Put packets of sound where a player without a buffer would play them: by timestamp, the quickest one on arrival.

    Args:
        sounds: packets in order of arrival.
        zero_ms: arrival time that becomes sample 0.
        end_ms: arrival time at which the result ends.

    Returns:
        int16 samples; silence where nothing came.
    """
    total = max(0, round((end_ms - zero_ms) * AUDIO_RATE / 1000))
    result = np.zeros(total, np.int16)
    if not sounds:
        return result
    media_ms = _media_ms(sounds)
    offset_ms = min(arrival - media for (arrival, _, _), media in zip(sounds, media_ms, strict=True))
    for (_, _, samples), media in zip(sounds, media_ms, strict=True):
        start = round((offset_ms + media - zero_ms) * AUDIO_RATE / 1000)
        piece = samples[max(0, -start) : max(0, total - start)]
        result[max(0, start) : max(0, start) + len(piece)] = piece
    return result


def lateness(sounds: list[Sound]) -> Floats:
    """Return (m,) ms by which each packet came later than the quickest one, as their timestamps ask for them."""
    if not sounds:
        return np.zeros(0)
    transit = [arrival - media for (arrival, _, _), media in zip(sounds, _media_ms(sounds), strict=True)]
    late: Floats = np.array(transit) - min(transit)
    return late


def _media_ms(sounds: list[Sound]) -> list[float]:
    """Return the packets' timestamps in ms from that of the first one."""
    first = sounds[0][1]
    return [(unwrap(stamp, first, 32) - first) * 1000 / AUDIO_RATE for _, stamp, _ in sounds]
