"""The data channel "lipline" between caller and node: pings for the uplink watch, and "video is off" said for sure.

Messages are JSON objects of one line, unordered and never retransmitted; what must arrive is repeated until acked.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from aiortc import RTCDataChannel, RTCPeerConnection
from aiortc.exceptions import InvalidStateError

CHANNEL = "lipline"
MAX_MESSAGE_BYTES = 2_048
MAX_NUMBER = 1 << 53


class ControlType(Enum):
    """Name what a control message says; the values are the wire form."""

    PING = "ping"
    PONG = "pong"
    VIDEO_PAUSED = "video-paused"
    VIDEO_RESUMED = "video-resumed"
    ACK = "ack"


@dataclass(frozen=True, slots=True)
class Control:
    """Hold one control message.

    `number` identifies a ping (its pong repeats it) or a change of the video (its ack repeats it); `pad` is how many
    bytes of filling a ping carries to measure the link.
    """

    type: ControlType
    number: int
    pad: int = 0

    def encode(self) -> str:
        """Return the wire form."""
        head = f'{{"type":"{self.type.value}","n":{self.number}'
        return f'{head},"pad":"{"." * self.pad}"}}' if self.pad else head + "}"


def decode(message: object) -> Control | None:
    """Read a control message; None for anything else, however broken."""
    if not isinstance(message, str) or len(message) > MAX_MESSAGE_BYTES:
        return None
    try:
        payload = json.loads(message)
        kind, number, pad = ControlType(payload["type"]), payload["n"], payload.get("pad", "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if type(number) is not int or not 0 <= number < MAX_NUMBER or not isinstance(pad, str):
        return None
    return Control(kind, number, len(pad))


def open_channel(pc: RTCPeerConnection) -> RTCDataChannel:
    """Make the caller's end of the channel; call it before the offer."""
    return pc.createDataChannel(CHANNEL, ordered=False, maxRetransmits=0)


def send(channel: RTCDataChannel, message: Control) -> bool:
    """Send a message if the channel is open; tell whether it was taken."""
    if channel.readyState != "open":
        return False
    try:
        channel.send(message.encode())
    except (InvalidStateError, ConnectionError):
        return False
    return True


class NodeControl:
    """Be the node's end: answer pings, ack and report `video-paused` and `video-resumed`, each change once, in order.

    Attach it with `NodeControl.attach(pc, ...)` before the remote description is set. Callbacks run on the event loop.
    """

    def __init__(self, channel: RTCDataChannel, on_video: Callable[[bool], None]) -> None:
        self._channel = channel
        self._on_video = on_video
        self._newest = -1
        channel.on("message", self._on_message)

    @classmethod
    def attach(cls, pc: RTCPeerConnection, on_video: Callable[[bool], None]) -> None:
        """Serve the channel of `pc` when the caller opens it; `on_video(True)` when video flows, False when paused."""

        def on_channel(channel: RTCDataChannel) -> None:
            if channel.label == CHANNEL:
                cls(channel, on_video)

        pc.on("datachannel", on_channel)

    def _on_message(self, message: object) -> None:
        control = decode(message)
        if control is None:
            return
        if control.type is ControlType.PING:
            send(self._channel, Control(ControlType.PONG, control.number))
        elif control.type in (ControlType.VIDEO_PAUSED, ControlType.VIDEO_RESUMED):
            send(self._channel, Control(ControlType.ACK, control.number))
            if control.number > self._newest:  # repeats and overtaken changes are acked but not reported
                self._newest = control.number
                self._on_video(control.type is ControlType.VIDEO_RESUMED)
