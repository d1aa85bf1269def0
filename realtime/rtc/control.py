"""The data channel "lipline": pings, pauses of the video, a bad link to try, and what viewers are shown.

Messages are JSON objects of one line, unordered and never retransmitted; what must arrive is repeated until
acknowledged.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from aiortc import RTCDataChannel, RTCPeerConnection
from aiortc.exceptions import InvalidStateError

from realtime.picture.stats import OutputStatus
from realtime.rtc.aiortc import survive_dead_path

CHANNEL = "lipline"
MAX_MESSAGE_BYTES = 2_048
MAX_WAITING_BYTES = 4_096
MAX_NUMBER = 1 << 53
MAX_KBPS = 1e6
UNLIMITED = -1


class ControlType(Enum):
    """Types of control messages; the values are the wire form."""

    PING = "ping"
    PONG = "pong"
    VIDEO_PAUSED = "video-paused"
    VIDEO_RESUMED = "video-resumed"
    TRY_LINK = "try-link"
    ACK = "ack"


@dataclass(frozen=True, slots=True)
class Control:
    """One control message.

    Attributes:
        type: what the message is for.
        number: number of a ping, repeated by its pong, or of a change of video or link, repeated by its ack.
        pad: bytes of padding that a ping carries to measure the link.
        kbps: rate in kbit/s that `try-link` asks for; 0 lets nothing pass, None sets no limit (-1 on the wire).
    """

    type: ControlType
    number: int
    pad: int = 0
    kbps: float | None = None

    def encode(self) -> str:
        """Return the wire form."""
        message: dict[str, object] = {"type": self.type.value, "n": self.number}
        if self.type is ControlType.TRY_LINK:
            message["kbps"] = UNLIMITED if self.kbps is None else self.kbps
        if self.pad:
            message["pad"] = "." * self.pad
        return _to_json(message)


def decode(message: object) -> Control | None:
    """Return the control message that `message` is the wire form of; None for anything else, however broken."""
    if not isinstance(message, str) or len(message) > MAX_MESSAGE_BYTES:
        return None
    try:
        payload = json.loads(message)
        kind, number, pad = ControlType(payload["type"]), payload["n"], payload.get("pad", "")
        kbps = payload["kbps"] if kind is ControlType.TRY_LINK else UNLIMITED
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if type(number) is not int or not 0 <= number < MAX_NUMBER or not isinstance(pad, str):
        return None
    if type(kbps) not in (int, float) or not (kbps == UNLIMITED or 0 <= kbps <= MAX_KBPS):  # NaN fails both
        return None
    return Control(kind, number, len(pad), None if kbps == UNLIMITED else float(kbps))


def encode_output(status: OutputStatus, *, you: bool = False) -> str:
    """Return the wire form of what viewers are shown; `you` when it is sent to the publisher itself."""
    shown: dict[str, object] = {
        "type": "output",
        "state": status.state,
        "since_ms": _whole(status.since_ms),
        "concealed": round(status.concealed, 3) if math.isfinite(status.concealed) else 0.0,
        "skew_ms": _whole(status.skew_ms),
    }
    return _to_json({**shown, "you": True} if you else shown)


def _to_json(message: dict[str, object]) -> str:
    return json.dumps(message, separators=(",", ":"))


def _whole(ms: float) -> int:
    return round(ms) if math.isfinite(ms) else 0


def open_channel(pc: RTCPeerConnection) -> RTCDataChannel:
    """Make the offering peer's end of the channel; call it before the offer."""
    channel = pc.createDataChannel(CHANNEL, ordered=False, maxRetransmits=0)
    survive_dead_path(channel)
    return channel


def send(channel: RTCDataChannel, message: Control) -> bool:
    """Send a message if the channel is open and has room; return whether it was accepted."""
    return _send(channel, message.encode())


def _send(channel: RTCDataChannel, text: str) -> bool:
    # On a link that carries nothing SCTP would queue everything, and late messages are of no use.
    if channel.readyState != "open" or channel.bufferedAmount > MAX_WAITING_BYTES:
        return False
    try:
        channel.send(text)
    except (InvalidStateError, ConnectionError):
        return False
    return True


class ChannelOpener(Protocol):
    """What tells of the channels that the other side opens; `RTCPeerConnection` is it."""

    def on(self, event: str, f: Callable[[RTCDataChannel], None]) -> object:
        """Call `f` with each channel, where `event` is "datachannel"."""


class ControlChannel:
    """The node's end: answers pings, acknowledges and reports changes, each once and in order, and sends the output.

    Make it before the remote description of `pc` is set, for publishers and viewers alike; it serves the channel when
    the other side opens it. Callbacks run on the event loop and must not block. Event loop only.

    Args:
        pc: the peer connection.
        on_video: called with True when the other side's video flows, with False when it is paused.
        on_try_link: called with the rate in kbit/s that the other side wants its own media impaired to; 0 lets nothing
            pass, None sets no limit.
        on_ping: called with the size of a ping in bytes and what answers it, so that it can be answered later, or
            never; without it pings are answered at once.

    Attributes:
        pinged: whether the other side measures its uplink by pings, as our caller does and a browser does not.
    """

    def __init__(
        self,
        pc: ChannelOpener,
        on_video: Callable[[bool], None] | None = None,
        on_try_link: Callable[[float | None], None] | None = None,
        on_ping: Callable[[int, Callable[[], None]], None] | None = None,
    ) -> None:
        self._on_video = on_video
        self._on_try_link = on_try_link
        self._on_ping = on_ping
        self._channel: RTCDataChannel | None = None
        self._newest: dict[str, int] = {}
        self.pinged = False
        pc.on("datachannel", self._opened)

    def tell(self, status: OutputStatus, *, you: bool = False) -> bool:
        """Send the other side what viewers are shown; `you` when the other side itself is shown.

        Returns:
            False, and nothing sent, without an open channel or while more than 4 KiB wait in it.
        """
        return self._channel is not None and _send(self._channel, encode_output(status, you=you))

    def _opened(self, channel: RTCDataChannel) -> None:
        # One channel is enough for anybody: further ones of the same name are not served while it is open.
        if channel.label == CHANNEL and (self._channel is None or self._channel.readyState != "open"):
            self._channel = channel
            survive_dead_path(channel)
            channel.on("message", lambda message: self._on_message(channel, message))

    def _on_message(self, channel: RTCDataChannel, message: object) -> None:
        control = decode(message)
        if control is None:
            return
        if control.type is ControlType.PING:
            self.pinged = True
            self._answer(channel, control, len(str(message)))
        elif control.type in (ControlType.VIDEO_PAUSED, ControlType.VIDEO_RESUMED):
            send(channel, Control(ControlType.ACK, control.number))
            if self._is_news("video", control.number) and self._on_video is not None:
                self._on_video(control.type is ControlType.VIDEO_RESUMED)
        elif control.type is ControlType.TRY_LINK:
            send(channel, Control(ControlType.ACK, control.number))
            if self._is_news("link", control.number) and self._on_try_link is not None:
                self._on_try_link(control.kbps)

    def _answer(self, channel: RTCDataChannel, ping: Control, size: int) -> None:
        def answer() -> None:
            send(channel, Control(ControlType.PONG, ping.number))

        if self._on_ping is None:
            answer()
        else:
            self._on_ping(size, answer)

    def _is_news(self, subject: str, number: int) -> bool:
        # Repeated and overtaken changes are acknowledged but not reported.
        news = number > self._newest.get(subject, -1)
        if news:
            self._newest[subject] = number
        return news
