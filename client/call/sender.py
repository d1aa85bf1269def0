"""What `lipline call` sends: a file or devices, over one connection to the node after another."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import MediaStreamError

from client.errors import UsageError
from realtime.clock import Clock
from realtime.media import AUDIO_RATE, BLOCK_MS, BLOCK_SAMPLES, AudioBlock, VideoFrame
from realtime.rtc.badlink.link import ImpairedLink, LinkTrace
from realtime.rtc.badlink.transport import ImpairedSend
from realtime.rtc.send.caller import CallerPeer
from realtime.tasks import first_to_end
from realtime.threads import in_thread

Tracks = tuple[MediaStreamTrack, MediaStreamTrack]
"""Picture and sound of one source."""


@dataclass(frozen=True, slots=True)
class BadUplink:
    """A bad link for what is sent, over one connection after another, and its zero on the clock in ms."""

    link: ImpairedLink
    zero_ms: float


class Uplink:
    """One connection that sends."""

    def __init__(self, clock: Clock, bad: BadUplink | None) -> None:
        self._clock, self._bad = clock, bad
        self._impaired: ImpairedSend | None = None
        self.peer = CallerPeer(
            clock,
            zero_ms=0.0,
            configuration=RTCConfiguration(iceServers=[]),
            on_video=lambda flows, why: print(f"video {'resumed' if flows else 'paused'}: {why}", flush=True),
        )

    @property
    def pc(self) -> RTCPeerConnection:
        """Connection, whose tracks are in place."""
        return self.peer.pc

    def begin(self) -> None:
        """Watch the uplink, and impair it if that was asked for."""
        self.peer.start()
        if self._bad is not None:
            self._impaired = ImpairedSend(self.pc, self._bad.link, self._clock, zero_ms=self._bad.zero_ms)

    async def close(self) -> None:
        """End the connection. Idempotent."""
        if self._impaired is not None:
            await self._impaired.close()
        await self.peer.close()


class Sending:
    """Feed the newest uplink from a picture and a sound track, which outlive every connection.

    Files are timed by their own stamps, devices by arrival. `again` opens the next round of a file, off the event loop;
    None for devices.
    """

    def __init__(
        self, tracks: Tracks, clock: Clock, *, again: Callable[[], Tracks] | None, bad: BadUplink | None = None
    ) -> None:
        self._tracks, self._clock, self._again, self._bad = tracks, clock, again, bad
        self._base_ms = self._end_ms = 0.0
        self._peer: CallerPeer | None = None
        self._begin_ms: float | None = None
        self._frames = self._blocks = 0

    async def run(self) -> None:
        """Send until cancelled, or until a device ends. A file is opened again at its end.

        aiortc's own loop over a file ends with PyAV 18.
        """
        while True:
            await self._round()
            if self._again is None:
                return
            self.stop()
            self._tracks = await in_thread(self._again)
            # Not before now: what is stamped with the past comes too late to be sent.
            elapsed_ms = 0.0 if self._begin_ms is None else self._clock.now_ms() - self._begin_ms
            self._base_ms = max(self._end_ms, elapsed_ms)

    def stop(self) -> None:
        """Close file or devices."""
        for track in self._tracks:
            track.stop()

    async def _round(self) -> None:
        with contextlib.suppress(MediaStreamError):
            await first_to_end(self._pictures(), self._sound())

    def uplink(self) -> Uplink:
        """Make a connection that is fed from now on."""
        made = Uplink(self._clock, self._bad)
        self._peer = made.peer
        return made

    def summary(self) -> str:
        """Return how much was sent."""
        return f"sent {self._frames} pictures and {self._blocks * BLOCK_MS / 1000.0:.1f} s of sound"

    def _stamp(self, frame: Any) -> float:
        now_ms = self._clock.now_ms()
        self._begin_ms = now_ms if self._begin_ms is None else self._begin_ms
        if self._again is None or frame.time is None:
            return now_ms - self._begin_ms
        stamp = self._base_ms + float(frame.time) * 1000.0
        self._end_ms = max(self._end_ms, stamp + 2 * BLOCK_MS)
        return stamp

    async def _pictures(self) -> None:
        while True:
            frame = await self._tracks[0].recv()
            assert isinstance(frame, av.VideoFrame)
            image = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
            even = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
            if self._peer is not None:
                self._peer.put_frame(VideoFrame(even, self._stamp(frame)))
            self._frames += 1

    async def _sound(self) -> None:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=AUDIO_RATE, frame_size=BLOCK_SAMPLES)
        next_ms: float | None = None
        while True:
            frame = await self._tracks[1].recv()
            assert isinstance(frame, av.AudioFrame)
            stamp = self._stamp(frame)
            # Blocks follow each other by count; only a real gap moves the clock.
            next_ms = stamp if next_ms is None or abs(stamp - next_ms) > 200.0 else next_ms
            frame.pts = None
            for part in resampler.resample(frame):
                if self._peer is not None:
                    self._peer.put_audio(AudioBlock(np.asarray(part.to_ndarray()[0], np.int16), next_ms))
                next_ms += BLOCK_MS
                self._blocks += 1


def clip_tracks(clip: Path) -> Tracks:
    """Return picture and sound of a file; raises UsageError where one is missing."""
    player = MediaPlayer(str(clip))
    if player.video is None or player.audio is None:
        raise UsageError(f"{clip} needs a picture and a sound track; use a video in which the speaker can be heard")
    return player.video, player.audio


def device_tracks(camera: str, microphone: str) -> Tracks:
    """Return picture and sound of devices; raises UsageError where one cannot be opened."""
    try:
        video = MediaPlayer(camera, format="v4l2", options={"video_size": "640x480", "framerate": "30"}).video
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot open the camera {camera} ({error}); `lipline doctor` lists cameras") from error
    for system in ("pulse", "alsa"):
        try:
            audio = MediaPlayer(microphone, format=system).audio
        except (OSError, ValueError):
            continue
        if video is not None and audio is not None:
            return video, audio
    raise UsageError(f"cannot open the microphone {microphone}; `lipline doctor` lists sound cards")


def read_trace(path: Path) -> LinkTrace:
    """Read a link trace.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return LinkTrace.load(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no link trace: {error}") from error
