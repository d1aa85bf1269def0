"""The data channel "lipline": pings, "video is off" said for sure, a link to try, and what viewers are shown.

Messages are JSON objects of one line, unordered and never retransmitted; what must arrive is repeated until acked.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

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
    """Name what a control message says; the values are the wire form."""

    PING = "ping"
    PONG = "pong"
    VIDEO_PAUSED = "video-paused"
    VIDEO_RESUMED = "video-resumed"
    TRY_LINK = "try-link"
    ACK = "ack"


@dataclass(frozen=True, slots=True)
class Control:
    """Hold one control message.

    `number` identifies a ping (its pong repeats it) or a change of video or link (its ack repeats it); `pad` is how
    many bytes of filling a ping carries to measure the link; `kbps` is the rate in kbit/s that `try-link` asks for:
    0 lets nothing pass, None sets no limit (-1 on the wire).
    """

    type: ControlType
    number: int
    pad: int = 0
    kbps: float | None = None

    def encode(self) -> str:
        """Return the wire form."""
        head = f'{{"type":"{self.type.value}","n":{self.number}'
        if self.type is ControlType.TRY_LINK:
            head += f',"kbps":{UNLIMITED if self.kbps is None else self.kbps}'
        return f'{head},"pad":"{"." * self.pad}"}}' if self.pad else head + "}"


def decode(message: object) -> Control | None:
    """Read a control message; None for anything else, however broken."""
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
    """Return the wire form of what viewers are shown; `you` when it goes to the one who is shown."""
    shown = {
        "type": "output",
        "state": status.state,
        "since_ms": _whole(status.since_ms),
        "concealed": round(status.concealed, 3) if math.isfinite(status.concealed) else 0.0,
        "skew_ms": _whole(status.skew_ms),
    }
    return json.dumps({**shown, "you": True} if you else shown, separators=(",", ":"))


def _whole(ms: float) -> int:
    return round(ms) if math.isfinite(ms) else 0


def open_channel(pc: RTCPeerConnection) -> RTCDataChannel:
    """Make the offering peer's end of the channel; call it before the offer."""
    channel = pc.createDataChannel(CHANNEL, ordered=False, maxRetransmits=0)
    survive_dead_path(channel)
    return channel


def send(channel: RTCDataChannel, message: Control) -> bool:
    """Send a message if the channel is open and has room; tell whether it was taken."""
    return _send(channel, message.encode())


def _send(channel: RTCDataChannel, text: str) -> bool:
    # On a link that carries nothing SCTP would keep everything: what is said late is of no use anyway.
    if channel.readyState != "open" or channel.bufferedAmount > MAX_WAITING_BYTES:
        return False
    try:
        channel.send(text)
    except (InvalidStateError, ConnectionError):
        return False
    return True


class ControlChannel:
    """Be the node's end: answer pings, ack and report changes of video and link, each once, in order; tell the output.

    Attach it with `ControlChannel.attach(pc, ...)` before the remote description is set, for publishers and viewers
    alike. Callbacks run on the event loop and must not block. Event loop only.
    """

    def __init__(
        self,
        on_video: Callable[[bool], None] | None,
        on_try_link: Callable[[float | None], None] | None,
        on_ping: Callable[[int, Callable[[], None]], None] | None = None,
    ):
        self._on_video = on_video
        self._on_try_link = on_try_link
        self._on_ping = on_ping
        self._channel: RTCDataChannel | None = None
        self._newest: dict[str, int] = {}
        self.pinged = False
        """Whether the other side watches its uplink by pings, as our caller does and a browser does not."""

    @classmethod
    def attach(
        cls,
        pc: RTCPeerConnection,
        on_video: Callable[[bool], None] | None = None,
        on_try_link: Callable[[float | None], None] | None = None,
        on_ping: Callable[[int, Callable[[], None]], None] | None = None,
    ) -> "ControlChannel":
        """Serve the channel of `pc` when the other side opens it.

        `on_video(True)` when its video flows, `on_video(False)` when it is paused; `on_try_link(kbps)` when it wants
        its own media impaired to `kbps` (0: nothing passes, None: no limit). `on_ping(size, answer)` lets a ping of
        `size` bytes be answered later, or never; without it that is done at once.
        """
        control = cls(on_video, on_try_link, on_ping)
        pc.on("datachannel", control._opened)
        return control

    def tell(self, status: OutputStatus, *, you: bool = False) -> bool:
        """Tell the other side what viewers are shown; `you` when the other side itself is shown.

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
        # Repeats and overtaken changes are acked but not reported.
        news = number > self._newest.get(subject, -1)
        if news:
            self._newest[subject] = number
        return news
