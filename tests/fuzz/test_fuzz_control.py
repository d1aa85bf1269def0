"""Broken control messages into both ends of the data channel: ignored, and the next good one is served."""

import asyncio
import json
import math
from typing import Any

from aiortc import RTCConfiguration
from fuzz_material import broken, fuzz, largest
from hypothesis import given
from hypothesis import strategies as st
from pyee.asyncio import AsyncIOEventEmitter

from realtime.clock import FakeClock
from realtime.picture.stats import OutputStatus, ShownState
from realtime.rtc.control import CHANNEL, MAX_MESSAGE_BYTES, Control, ControlChannel, ControlType, decode, encode_output
from realtime.rtc.send.caller import CallerPeer

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10), st.lists(st.integers(), max_size=3),
    st.sampled_from((-1, 0, 1 << 53, 1 << 80, 1e308, -0.0)),
)  # fmt: skip
NAMES = [kind.value for kind in ControlType] + ["output", "nonsense", ""]


@st.composite
def messages(draw: st.DrawFn) -> object:
    payload: dict[str, Any] = {
        "type": draw(st.sampled_from(NAMES)),
        "n": draw(st.integers(0, 50)),
        "kbps": draw(st.sampled_from((-1, 0, 60.5))),
    }
    for _ in range(draw(st.integers(0, 3))):
        payload[draw(st.sampled_from(("type", "n", "pad", "kbps", "you")))] = draw(ODD)
    text = json.dumps(payload)
    return draw(
        st.one_of(
            st.just(text),
            broken(st.just(text.encode())).map(lambda data: data.decode(errors="replace")),
            st.text(max_size=40),
            st.binary(max_size=40),
            st.sampled_from(("[" * 2_000, "9" * 2_040, '{"type":"ping","n":1,"pad":"' + "." * 5_000 + '"}', None, 7)),
        )
    )


@fuzz(4.0)
@given(messages())
def test_any_message_is_read_or_ignored(message: object) -> None:
    control = decode(message)
    if control is not None:
        assert 0 <= control.number < 1 << 53 and control.pad <= MAX_MESSAGE_BYTES
        assert control.kbps is None or (math.isfinite(control.kbps) and control.kbps >= 0)
        assert decode(control.encode()) == control


@fuzz(2.0)
@given(st.sampled_from(ShownState), st.floats(), st.floats(), st.floats(), st.booleans())
def test_what_is_told_is_json(state: ShownState, since_ms: float, concealed: float, skew_ms: float, you: bool) -> None:
    text = encode_output(OutputStatus(state, since_ms, concealed, skew_ms), you=you)
    told = json.loads(text, parse_constant=lambda name: 1 / 0)  # NaN is no JSON
    assert told["type"] == "output" and told.get("you", False) is you


class Transport:
    """Stand in for what sends on its own."""

    async def _data_channel_flush(self) -> None: ...

    async def _transmit(self) -> None: ...


class Channel(AsyncIOEventEmitter):
    """Stand in for a data channel."""

    label, readyState, bufferedAmount = CHANNEL, "open", 0

    def __init__(self) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.transport = Transport()
        self.sent: list[str] = []

    def send(self, text: str) -> None:
        self.sent.append(text)


class Connection(AsyncIOEventEmitter):
    """Stand in for a peer connection."""


@fuzz()
@given(st.lists(messages(), max_size=40))
def test_the_nodes_end_serves_what_follows(thrown: list[object]) -> None:
    async def run() -> None:
        pc, channel = Connection(loop=asyncio.get_running_loop()), Channel()
        flows: list[bool] = []
        rates: list[float | None] = []
        control = ControlChannel(pc, flows.append, rates.append)
        pc.emit("datachannel", channel)
        for message in thrown:
            channel.emit("message", message)
        assert len(channel.sent) <= len(thrown) and largest(control).size <= 64
        assert len(flows) + len(rates) <= len(thrown)
        assert all(rate is None or (math.isfinite(rate) and rate >= 0) for rate in rates)
        channel.sent.clear()
        newest = (1 << 53) - 1
        channel.emit("message", Control(ControlType.PING, 5).encode())
        channel.emit("message", Control(ControlType.VIDEO_PAUSED, newest).encode())
        assert [decode(text) for text in channel.sent] == [
            Control(ControlType.PONG, 5), Control(ControlType.ACK, newest)
        ]  # fmt: skip

    asyncio.run(run())


@fuzz(0.3)
@given(st.lists(st.tuples(messages(), st.integers(0, 400)), max_size=40))
def test_the_callers_end_takes_anything(thrown: list[tuple[object, int]]) -> None:
    async def run() -> None:
        clock = FakeClock(1_000.0)
        peer = CallerPeer(clock, zero_ms=0.0, configuration=RTCConfiguration(iceServers=[]))
        try:
            for message, gap_ms in thrown:
                clock.advance(float(gap_ms))
                peer.channel.emit("message", message)
            assert largest(peer).size <= 600, largest(peer)
        finally:
            await peer.close()

    asyncio.run(run())
