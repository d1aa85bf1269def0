"""Measure video over a lossy link, with our repair and with stock aiortc: `python -m benchmarks.video_loss --help`.

Two peer connections over loopback in one process, each end's sending impaired: random loss both ways, so that requests
and their answers are lost too. The share shown counts pictures given over pictures encoded; one is in
time when it comes at most 200 ms later than the fastest, which is when the node would show it.
"""

from realtime.process import tune

if __name__ == "__main__":
    tune()  # before numpy is imported

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from realtime.clock import MonotonicClock
from realtime.rtc.aiortc import EncoderRate
from realtime.rtc.badlink.link import ImpairedLink, LinkStep, LinkTrace
from realtime.rtc.badlink.transport import ImpairedSend
from realtime.rtc.receive.streams import ReceivedStreams
from realtime.rtc.send.bitrate import BitrateController
from realtime.rtc.send.tracks import EngineVideoTrack

CLOCK = MonotonicClock()
FRAME_MS = 40.0
IN_TIME_MS = 200.0
Shown = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Result:
    """What one run showed; times in ms.

    Attributes:
        receiver: "lipline" or "stock aiortc".
        loss: share of datagrams lost each way, 0 to 1.
        delay_ms: delay each way.
        sent: count of pictures that were encoded.
        shown: share of them that were given to the viewer.
        in_time: share of them that came at most 200 ms later than the fastest one.
        late_p95_ms: 95th percentile of how much later than the fastest one they came.
        worst_gap_ms: longest time between two pictures.
        gap_p99_ms: 99th percentile of the time between two pictures.
        repair: counters of the receiver's repair, by name.
    """

    receiver: str
    loss: float
    delay_ms: float
    sent: int
    shown: float
    in_time: float
    late_p95_ms: float
    worst_gap_ms: float
    gap_p99_ms: float
    repair: dict[str, int]


def pictures(count: int = 50) -> list[NDArray[np.uint8]]:
    """Return (480, 640, 3) uint8 BGR pictures of soft shapes that drift, about as hard to encode as a head."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 255, (16, 22, 3)).astype(np.float32)
    large = np.kron(coarse, np.ones((40, 40, 1), np.float32))
    noise = rng.normal(0.0, 3.0, large.shape)
    made = []
    for i in range(count):
        shift = round(30.0 * np.sin(2.0 * np.pi * i / count))
        frame = np.roll(large, shift, axis=1)[40:520, 60:700] + np.roll(noise, i, axis=0)[40:520, 60:700]
        made.append(np.clip(frame, 0, 255).astype(np.uint8))
    return made


async def negotiate(sender: RTCPeerConnection, receiver: RTCPeerConnection) -> None:
    """Connect two peers of this process; raises TimeoutError where that takes over 10 s."""
    await sender.setLocalDescription(await sender.createOffer())
    await receiver.setRemoteDescription(sender.localDescription)
    await receiver.setLocalDescription(await receiver.createAnswer())
    await sender.setRemoteDescription(receiver.localDescription)
    async with asyncio.timeout(10):
        while not all(pc.connectionState == "connected" for pc in (sender, receiver)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def receive(pc: RTCPeerConnection, stock: bool, shown: Shown) -> Callable[[], Awaitable[dict[str, int]]]:
    """Note in `shown` a picture's own time and when it is there; return what ends that and gives the counters."""
    if not stock:
        streams = ReceivedStreams(
            pc,
            CLOCK,
            on_audio_packet=lambda *_: None,
            on_video_frame=lambda frame, at: shown.append((frame.media_ms, at)),
        )

        async def end() -> dict[str, int]:
            await streams.close()
            names = ("packetsAskedAgain", "packetsRecovered", "keyframesAsked", "decodeErrors")
            return {name: getattr(streams.counters, name) for name in names}

        return end
    tasks: list[asyncio.Task[None]] = []

    async def pump(track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.VideoFrame)
                shown.append((float(frame.time or 0.0) * 1000.0, CLOCK.now_ms()))
        except MediaStreamError:
            return

    pc.on("track", lambda track: tasks.append(asyncio.ensure_future(pump(track))))

    async def end_stock() -> dict[str, int]:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return {}

    return end_stock


async def run(loss: float, delay_ms: float, seconds: float, seed: int, stock: bool) -> Result:
    """Send `seconds` of 25 pictures a second at 600 kbit/s over a link with `loss` and `delay_ms` each way."""
    configuration = RTCConfiguration(iceServers=[])
    sender, receiver = RTCPeerConnection(configuration), RTCPeerConnection(configuration)
    track = EngineVideoTrack(zero_ms=CLOCK.now_ms())
    control = EncoderRate(sender.addTrack(track), BitrateController(600_000, 600_000, 600_000), CLOCK)
    shown: Shown = []
    end = receive(receiver, stock, shown)
    links: list[ImpairedSend] = []
    images, ticks = pictures(), round(seconds * 1000.0 / FRAME_MS)
    try:
        await negotiate(sender, receiver)
        zero_ms = CLOCK.now_ms()
        trace = LinkTrace((LinkStep(0.0, delay_ms=delay_ms, loss=loss),))
        for pc, own in ((sender, seed), (receiver, seed + 1)):
            links.append(ImpairedSend(pc, ImpairedLink(trace, seed=own), CLOCK, zero_ms=zero_ms))
        for i in range(ticks):
            track.put_frame(images[i % len(images)], zero_ms + FRAME_MS * i)
            await CLOCK.sleep_until(zero_ms + FRAME_MS * (i + 1))
        await asyncio.sleep(1.0)
        counters = await end()
    finally:
        for link in links:
            await link.close()
        control.close()
        await asyncio.gather(sender.close(), receiver.close())
    sent = track.frames_put - track.frames_skipped  # a busy machine encodes fewer than it is given
    times = [at for _, at in shown]
    gaps = np.diff([zero_ms, *times, max(zero_ms + FRAME_MS * ticks, *times[-1:])])
    late = np.array([at - own for own, at in shown])
    late -= late.min(initial=np.inf)
    name = "stock aiortc" if stock else "lipline"
    return Result(
        receiver=name,
        loss=loss,
        delay_ms=delay_ms,
        sent=sent,
        shown=len(shown) / sent,
        in_time=float((late <= IN_TIME_MS).sum()) / sent,
        late_p95_ms=float(np.percentile(late, 95)) if shown else float("nan"),
        worst_gap_ms=float(gaps.max()),
        gap_p99_ms=float(np.percentile(gaps, 99)),
        repair=counters,
    )


def main() -> None:
    """Run the cells asked for and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.video_loss", description=__doc__)
    parser.add_argument("--loss", type=float, nargs="+", default=[0.05, 0.2], help="loss each way, 0..1")
    parser.add_argument("--delay", type=float, default=15.0, help="delay each way in ms")
    parser.add_argument("--seconds", type=float, default=40.0, help="length of a run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of a table")
    options = parser.parse_args()
    if not options.json:
        print("| receiver | loss each way | shown | in time | late p95 ms | worst gap ms | gap p99 ms | repair |")
        print("|---|---|---|---|---|---|---|---|")
    for loss in options.loss:
        for stock in (False, True):
            found = asyncio.run(run(loss, options.delay, options.seconds, options.seed, stock))
            if options.json:
                print(json.dumps(asdict(found)), flush=True)
                continue
            repair = ", ".join(f"{name} {count}" for name, count in found.repair.items())
            shown = f"{found.shown:.1%} | {found.in_time:.1%} | {found.late_p95_ms:.0f}"
            gaps = f"{found.worst_gap_ms:.0f} | {found.gap_p99_ms:.0f}"
            print(f"| {found.receiver} | {loss:.0%} | {shown} | {gaps} | {repair} |", flush=True)


if __name__ == "__main__":
    main()
