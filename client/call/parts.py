"""The two parts that `lipline call` plays in a room: sending a file or devices, and recording what arrives."""

import argparse
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from client.call.connections import KeptMedia
from client.call.meeting import Meeting
from client.call.recorder import Downlink, Recording
from client.call.sender import BadUplink, Sending, clip_tracks, device_tracks, read_trace
from realtime.clock import MonotonicClock
from realtime.rtc.badlink.link import ImpairedLink
from realtime.tasks import first_to_end
from realtime.threads import in_thread


class Part(Protocol):
    """A part in a call, which runs until cancelled and then sums up what was done."""

    async def run(self) -> None:
        """Run until cancelled or until nothing more comes."""

    def summary(self) -> str:
        """Return one line about what was done."""


@dataclass(frozen=True, slots=True)
class Playing:
    """A part and the connection that it goes over."""

    part: Part
    kept: KeptMedia

    async def run(self) -> None:
        """Play the part until it ends or is cancelled.

        Raises:
            UsageError: the connection is lost for good.
        """
        await first_to_end(self.part.run(), self.kept.run())


def say(text: str) -> None:
    """Print what happens to the call."""
    print(text, flush=True)


async def send(stack: AsyncExitStack, options: argparse.Namespace, meeting: Meeting) -> Playing:
    """Publish and connect; `stack` closes it all."""
    clock = MonotonicClock()
    tracks = clip_tracks(options.clip) if options.clip else device_tracks(options.camera, options.microphone)
    trace = await in_thread(read_trace, options.trace) if options.trace else None
    bad = BadUplink(ImpairedLink(trace, seed=1), clock.now_ms()) if trace else None
    sending = Sending(tracks, clock, again=partial(clip_tracks, options.clip) if options.clip else None, bad=bad)
    stack.callback(sending.stop)
    kept = KeptMedia(meeting, sending.uplink, _nobody, say)
    stack.push_async_callback(kept.close)
    await kept.open()
    return Playing(sending, kept)


async def record(stack: AsyncExitStack, options: argparse.Namespace, meeting: Meeting, *, two_way: bool) -> Playing:
    """Watch and record; `stack` closes it all and finishes the file.

    `two_way` records the first other person that publishes, whenever that is; else whom the node shows to viewers.
    """
    clock = MonotonicClock()
    recording = Recording(options.view, clock)
    kept = KeptMedia(meeting, lambda: Downlink(clock, recording), meeting.somebody_else if two_way else _nobody, say)
    stack.push_async_callback(kept.close)
    # The file is finished first: a goodbye to a server that is gone may take its time.
    stack.push_async_callback(recording.finish)
    if not two_way:
        await kept.open()
    return Playing(recording, kept)


async def _nobody() -> str:
    return ""
