import json
from collections.abc import Callable

import pytest
from aiortc import RTCDataChannel
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import MakePc, Negotiate, Until
from pyee.asyncio import AsyncIOEventEmitter

from realtime.picture.stats import OutputStatus, ShownState
from realtime.rtc.control import (
    CHANNEL,
    MAX_WAITING_BYTES,
    Control,
    ControlChannel,
    ControlType,
    decode,
    encode_output,
    open_channel,
)

STATUS = OutputStatus(ShownState.SYNTH, 1234.4, 0.12345, -7.6)


class Transport:
    """Stand in for what sends on its own."""

    async def _data_channel_flush(self) -> None: ...

    async def _transmit(self) -> None: ...


class Channel(AsyncIOEventEmitter):
    """Stand in for an open data channel: keep what is sent."""

    def __init__(self, label: str = CHANNEL) -> None:
        super().__init__()
        self.transport = Transport()
        self.label = label
        self.readyState = "open"
        self.bufferedAmount = 0
        self.sent: list[str] = []

    def send(self, text: str) -> None:
        self.sent.append(text)


class Heard:
    def __init__(self) -> None:
        self.pc = AsyncIOEventEmitter()
        self.video: list[bool] = []
        self.links: list[float | None] = []
        self.control = ControlChannel(self.pc, self.video.append, self.links.append)
        self.channel = Channel()

    def open(self) -> "Heard":
        self.pc.emit("datachannel", self.channel)
        return self

    def acks(self) -> list[int]:
        return [m.number for text in self.channel.sent if (m := decode(text)) and m.type is ControlType.ACK]


def test_each_change_is_reported_once_and_in_order_but_every_one_acked() -> None:
    heard = Heard().open()
    for number, kbps in ((1, 80.0), (3, 0.0), (2, 500.0), (3, 0.0), (4, None)):
        heard.channel.emit("message", Control(ControlType.TRY_LINK, number, kbps=kbps).encode())
    heard.channel.emit("message", Control(ControlType.VIDEO_PAUSED, 1).encode())  # video counts for itself
    heard.channel.emit("message", Control(ControlType.VIDEO_PAUSED, 1).encode())
    heard.channel.emit("message", Control(ControlType.VIDEO_RESUMED, 2).encode())
    assert heard.links == [80.0, 0.0, None]
    assert heard.video == [False, True]
    assert heard.acks() == [1, 3, 2, 3, 4, 1, 1, 2]


def test_a_viewer_may_ping_and_is_told_what_it_sees() -> None:
    pc, channel = AsyncIOEventEmitter(), Channel()
    control = ControlChannel(pc)
    assert not control.tell(STATUS)
    pc.emit("datachannel", channel)
    for text in (Control(ControlType.PING, 7).encode(), Control(ControlType.TRY_LINK, 1, kbps=5.0).encode(), "{"):
        channel.emit("message", text)
    assert control.tell(STATUS) and control.tell(STATUS, you=True)
    assert channel.sent[0] == '{"type":"pong","n":7}'
    assert [json.loads(text) for text in channel.sent[-2:]] == [
        {"type": "output", "state": "synth", "since_ms": 1234, "concealed": 0.123, "skew_ms": -8},
        {"type": "output", "state": "synth", "since_ms": 1234, "concealed": 0.123, "skew_ms": -8, "you": True},
    ]


def test_a_ping_is_answered_when_its_way_was_gone() -> None:
    later: list[tuple[int, Callable[[], None]]] = []
    pc, channel = AsyncIOEventEmitter(), Channel()
    ControlChannel(pc, on_ping=lambda size, answer: later.append((size, answer)))
    pc.emit("datachannel", channel)
    ping = Control(ControlType.PING, 3, pad=600)
    channel.emit("message", ping.encode())
    assert channel.sent == []
    [(size, answer)] = later
    assert size == len(ping.encode())
    answer()
    assert channel.sent == [Control(ControlType.PONG, 3).encode()]


def test_nothing_is_queued_on_a_channel_that_does_not_drain() -> None:
    heard = Heard().open()
    heard.channel.bufferedAmount = MAX_WAITING_BYTES + 1
    assert not heard.control.tell(STATUS)
    heard.channel.emit("message", Control(ControlType.PING, 1).encode())
    assert heard.channel.sent == []
    heard.channel.bufferedAmount = MAX_WAITING_BYTES
    assert heard.control.tell(STATUS)
    heard.channel.readyState = "closed"
    assert not heard.control.tell(STATUS)


def test_only_one_channel_of_our_name_is_served_at_a_time() -> None:
    heard = Heard()
    other, second = Channel("chat"), Channel()
    for channel in (other, heard.channel, second):
        heard.pc.emit("datachannel", channel)
        channel.emit("message", Control(ControlType.PING, 1).encode())
    assert (len(other.sent), len(heard.channel.sent), len(second.sent)) == (0, 1, 0)
    heard.channel.readyState = "closed"
    heard.pc.emit("datachannel", third := Channel())
    assert heard.control.tell(STATUS) and len(third.sent) == 1


@settings(deadline=None)
@given(st.one_of(st.none(), st.floats(0, 1e6)), st.integers(0, 2**53 - 1))
def test_a_link_to_try_survives_the_wire(kbps: float | None, number: int) -> None:
    assert decode(Control(ControlType.TRY_LINK, number, kbps=kbps).encode()) == Control(
        ControlType.TRY_LINK, number, kbps=kbps
    )


@pytest.mark.parametrize("kbps", ["-2", "NaN", "Infinity", "true", '"80"', "null", "1000001", "[]"])
def test_an_impossible_link_is_ignored(kbps: str) -> None:
    assert decode(f'{{"type":"try-link","n":1,"kbps":{kbps}}}') is None


def test_a_link_without_a_rate_is_ignored() -> None:
    assert decode('{"type":"try-link","n":1}') is None


def test_figures_that_are_none_leave_valid_json() -> None:
    text = encode_output(OutputStatus(ShownState.WAITING, float("inf"), float("nan"), float("nan")))
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name))["since_ms"] == 0


async def test_both_ends_meet_over_a_real_channel(make_pc: MakePc, negotiate: Negotiate, until: Until) -> None:
    viewer, node = make_pc(), make_pc()
    got: list[str] = []
    channel: RTCDataChannel = open_channel(viewer)
    channel.on("message", got.append)
    control = ControlChannel(node)
    await negotiate(viewer, node)
    await until(lambda: control.tell(STATUS))
    await until(lambda: bool(got))
    assert json.loads(got[0])["state"] == "synth"
