"""The two parts that `lipline call` plays in a room: sending a file or devices, and recording what comes."""

import argparse
import asyncio
import contextlib
from collections import deque
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from client.errors import UsageError
from client.joining import offer_to_node, until_connected, until_node_left
from models.generator import Image
from realtime.clock import Clock, MonotonicClock
from realtime.media import AUDIO_RATE, BLOCK_MS, BLOCK_SAMPLES, AudioBlock, VideoFrame
from realtime.media_file import MediaWriter
from realtime.rtc.impair import ImpairedLink, LinkTrace
from realtime.rtc.impaired_transport import ImpairedSend
from realtime.rtc.opus import OpusDecoder
from realtime.rtc.receive import ReceivedStreams
from realtime.rtc.sender import CallerPeer
from signaling.client import SignalingClient
from signaling.messages import Role

FPS = 25
QUEUE_BLOCKS = 15


class Part(Protocol):
    """Play one part until cancelled, then tell what was done."""

    async def run(self) -> None:
        """Take part until cancelled or until nothing more comes."""

    def summary(self) -> str:
        """Return one line about what was done."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Hold a part, and through whom it reaches which node."""

    part: Part
    client: SignalingClient
    node: str

    async def run(self) -> None:
        """Play the part until it ends or is cancelled.

        Raises:
            UsageError: the node or the server is gone.
        """
        tasks = [
            asyncio.create_task(self.part.run()),
            asyncio.create_task(until_node_left(self.client, self.node)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def send(stack: AsyncExitStack, options: argparse.Namespace) -> "Joined":
    """Join as the caller and connect; `stack` closes it all."""
    clock = MonotonicClock()
    tracks = _clip_tracks(options.clip) if options.clip else _device_tracks(options.camera, options.microphone)
    for track in tracks:
        stack.callback(track.stop)
    client = await stack.enter_async_context(
        SignalingClient(options.url, options.room, options.token, role=Role.CALLER, name=options.name)
    )
    peer = CallerPeer(
        clock, zero_ms=0.0, configuration=RTCConfiguration(iceServers=[]),
        on_video=lambda flows, why: print(f"video {'resumed' if flows else 'paused'}: {why}", flush=True),
    )  # fmt: skip
    stack.push_async_callback(peer.close)
    node = await offer_to_node(client, peer.pc)
    await until_connected(peer.pc)
    peer.start()
    if options.trace:
        link = ImpairedLink(await asyncio.to_thread(read_trace, options.trace), seed=1)
        uplink = ImpairedSend(peer.pc, link, clock, zero_ms=clock.now_ms())
        stack.push_async_callback(uplink.close)
    return Joined(Sending(peer, *tracks, clock, live=not options.clip), client, node)


class Sending:
    """Feed a caller from a picture and a sound track. Files are timed by their own stamps, devices by arrival."""

    def __init__(
        self, peer: CallerPeer, video: MediaStreamTrack, audio: MediaStreamTrack, clock: Clock, *, live: bool
    ) -> None:
        self._peer, self._video, self._audio, self._clock, self._live = peer, video, audio, clock, live
        self._begin_ms: float | None = None
        self._frames = self._blocks = 0

    async def run(self) -> None:
        """Send until cancelled or until the source ends."""
        with contextlib.suppress(MediaStreamError):
            await asyncio.gather(self._pictures(), self._sound())

    def summary(self) -> str:
        """Return how much was sent."""
        return f"sent {self._frames} pictures and {self._blocks * BLOCK_MS / 1000.0:.1f} s of sound"

    def _stamp(self, frame: Any) -> float:
        if not self._live and frame.time is not None:
            return float(frame.time) * 1000.0
        now_ms = self._clock.now_ms()
        self._begin_ms = now_ms if self._begin_ms is None else self._begin_ms
        return now_ms - self._begin_ms

    async def _pictures(self) -> None:
        while True:
            frame = await self._video.recv()
            assert isinstance(frame, av.VideoFrame)
            image = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
            even = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
            self._peer.put_frame(VideoFrame(even, self._stamp(frame)))
            self._frames += 1

    async def _sound(self) -> None:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=AUDIO_RATE, frame_size=BLOCK_SAMPLES)
        next_ms: float | None = None
        while True:
            frame = await self._audio.recv()
            assert isinstance(frame, av.AudioFrame)
            stamp = self._stamp(frame)
            # Blocks follow each other by count; only a real gap moves the clock.
            next_ms = stamp if next_ms is None or abs(stamp - next_ms) > 200.0 else next_ms
            frame.pts = None
            for part in resampler.resample(frame):
                self._peer.put_audio(AudioBlock(np.asarray(part.to_ndarray()[0], np.int16), next_ms))
                next_ms += BLOCK_MS
                self._blocks += 1


def _clip_tracks(clip: Path) -> tuple[MediaStreamTrack, MediaStreamTrack]:
    player = MediaPlayer(str(clip), loop=True)
    if player.video is None or player.audio is None:
        raise UsageError(f"{clip} needs a picture and a sound track; use a video in which the speaker can be heard")
    return player.video, player.audio


def _device_tracks(camera: str, microphone: str) -> tuple[MediaStreamTrack, MediaStreamTrack]:
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


async def record(stack: AsyncExitStack, options: argparse.Namespace) -> "Joined":
    """Join as a viewer and connect; `stack` closes it all and finishes the file."""
    client = await stack.enter_async_context(
        SignalingClient(options.url, options.room, options.token, role=Role.VIEWER)
    )
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    stack.push_async_callback(pc.close)
    clock = MonotonicClock()
    recording = Recording(options.view, clock)
    pc.addTransceiver("video", direction="recvonly")
    pc.addTransceiver("audio", direction="recvonly")
    streams = ReceivedStreams(pc, clock, on_audio_packet=recording.hear, on_video_frame=recording.see)
    stack.push_async_callback(streams.close)
    stack.push_async_callback(recording.finish)
    node = await offer_to_node(client, pc)
    await until_connected(pc)
    return Joined(recording, client, node)


class Recording:
    """Write what comes at 25 pictures a second, the newest one each time, with the sound in step. Event loop only."""

    def __init__(self, path: Path, clock: Clock) -> None:
        # The other end may show synthetic frames at any time: the file is marked for machines from the start.
        self._writer = MediaWriter(path, FPS, synthetic=True)
        self._path, self._clock = path, clock
        self._decode = OpusDecoder()
        self._newest: Image | None = None
        self._first = asyncio.Event()
        self._sound: deque[NDArray[np.int16]] = deque(maxlen=QUEUE_BLOCKS)
        self._finished = False

    def see(self, frame: VideoFrame, _arrival_ms: float) -> None:
        """Take a picture."""
        if self._newest is None or frame.image.shape == self._newest.shape:
            self._newest = frame.image
            self._first.set()

    def hear(self, _sequence: int, _timestamp: int, payload: bytes, _arrival_ms: float) -> None:
        """Take a packet of sound; when too much waits, the oldest goes."""
        samples = self._decode(payload)
        if samples is not None:
            self._sound.append(samples)

    async def run(self) -> None:
        """Write until cancelled."""
        await self._first.wait()
        assert self._newest is not None
        self._sound.clear()
        due_ms = self._clock.now_ms()
        while True:
            await self._clock.sleep_until(due_ms)
            due_ms += 1000.0 / FPS
            blocks = [self._sound.popleft() if self._sound else np.zeros(BLOCK_SAMPLES, np.int16) for _ in range(2)]
            # Encoding takes a few ms: off the loop, and shielded so that a frame is never half written.
            await asyncio.shield(asyncio.to_thread(self._write, self._newest, np.concatenate(blocks)))

    def summary(self) -> str:
        """Return what was recorded."""
        if not self._writer.frames:
            return f"nothing came: {self._path} was not written"
        return f"{self._path}: {self._writer.frames / FPS:.1f} s"

    async def finish(self) -> None:
        """Finish the file; leave none when nothing came. Idempotent."""
        if self._finished:
            return
        self._finished = True
        await asyncio.to_thread(self._writer.close if self._writer.frames else self._writer.abandon)

    def _write(self, image: Image, samples: NDArray[np.int16]) -> None:
        self._writer.write_frame(image)
        self._writer.write_audio(samples.astype(np.float32) / 32768.0)


def read_trace(path: Path) -> LinkTrace:
    """Read a link trace.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return LinkTrace.load(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no link trace: {error}") from error
