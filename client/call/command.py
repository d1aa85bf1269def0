"""`lipline call`: join a room from a file or from camera and microphone, as caller, viewer or both."""

import argparse
from contextlib import AsyncExitStack
from pathlib import Path

from client.errors import UsageError
from realtime import ending
from realtime.tasks import first_to_end

DESCRIPTION = """\
Join a room of `lipline serve`. With --clip or --camera you are the caller: mono Opus at 24 kbit/s,
and video that steps aside when the uplink cannot carry both. With --view you watch and record. With
both you are one of several people, browsers included, and record the first other one. A connection
that breaks, to the server or of the media, is made anew while the call goes on."""

EXAMPLES = """\
examples:
  lipline call ws://127.0.0.1:8765 --token SECRET --clip me.mp4
  lipline call ws://127.0.0.1:8765 --token SECRET --camera /dev/video0 --microphone default
  lipline call ws://127.0.0.1:8765 --token SECRET --view seen.mp4 --seconds 30
  lipline call ws://127.0.0.1:8765 --token SECRET --clip me.mp4 --view other.mp4    a call of two
  lipline call ws://127.0.0.1:8765 --token SECRET --clip me.mp4 --trace link.json   over a bad uplink

Ctrl-C leaves the room; a recording is finished first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lipline call`."""
    parser.add_argument("url", metavar="URL", help="of the signaling server, ws:// or wss://")
    parser.add_argument("--room", default="lipline", metavar="NAME", help="room to join (lipline)")
    parser.add_argument("--token", required=True, help="what `lipline serve` printed")
    parser.add_argument("--name", default="", help="your name in the room; a node may have a model for it (none)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--clip", type=Path, metavar="FILE", help="send this video with its sound, over and over")
    source.add_argument("--camera", metavar="DEV", help="send this camera, such as /dev/video0")
    parser.add_argument("--microphone", metavar="DEV", default="default", help="ALSA or Pulse device (default)")
    parser.add_argument("--view", type=Path, metavar="OUT.mp4", help="record what the node sends")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="impair what you send by this script")
    parser.add_argument("--seconds", type=float, metavar="N", help="leave after so many seconds")


def run(options: argparse.Namespace) -> int:
    """Run the call until Ctrl-C, the end of `--seconds`, or the end of the room; return 0."""
    if not (options.clip or options.camera or options.view):
        raise UsageError("nothing to send and nothing to record: add --clip FILE, --camera DEV or --view OUT.mp4")
    if options.clip and not options.clip.is_file():
        raise UsageError(f"there is no file {options.clip}: check the path")
    if options.view and options.view.suffix.lower() != ".mp4":
        raise UsageError(f"{options.view} does not end in .mp4: name the recording like seen.mp4")
    ending.run(take_part(options))
    return 0


async def take_part(options: argparse.Namespace) -> None:
    """Run the call that `options` describe until its end, and print a summary of what was sent and recorded.

    Raises:
        UsageError: the room or its node cannot be reached, or is gone for good.
    """
    from client.call.meeting import Meeting
    from client.call.parts import Playing, record, say, send
    from signaling.client import SignalingError
    from signaling.messages import Role

    sends = bool(options.clip or options.camera)
    role = Role.VIEWER if not sends else Role.PARTICIPANT if options.view else Role.CALLER
    parts: list[Playing] = []
    try:
        async with AsyncExitStack() as stack:
            meeting = await stack.enter_async_context(
                Meeting(options.url, options.room, options.token, role, options.name, say)
            )
            if sends:
                parts.append(await send(stack, options, meeting))
            if options.view:
                parts.append(await record(stack, options, meeting, two_way=sends))
            say("In the call; Ctrl-C leaves it.")
            # The first end is the end of the call: a file has no more, or the room is gone.
            await first_to_end(*(part.run() for part in parts), meeting.run(), timeout_s=options.seconds)
    except SignalingError as error:
        raise UsageError(str(error)) from error
    for part in parts:
        print(part.part.summary())
