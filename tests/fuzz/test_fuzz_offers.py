"""Broken SDP and candidates into the node: NegotiationError or an answer, and nothing is left of either."""

import asyncio
import contextlib
import threading
from functools import cache

from aiortc import RTCConfiguration, RTCPeerConnection
from fuzz_material import fuzz
from hypothesis import given
from hypothesis import strategies as st

from models.alignment import MelWindow
from realtime.rtc.control import open_channel
from realtime.rtc.node.node import LiplineNode, NegotiationError

WINDOW = MelWindow.for_lookahead(80.0)
ODD = st.sampled_from(
    (
        "", "a=", "m=", "m=audio", "m=video 9 UDP/TLS/RTP/SAVPF", "m=audio 99999999 RTP/AVP x", "v=1", "c=IN IP4 :",
        "a=mid:", "a=setup:nonsense", "a=fingerprint:sha-256 zz", "a=group:BUNDLE 7 8 9",
        "a=rtpmap:999999999999 opus/0",
        "a=fmtp:x", "a=ssrc:99999999999999999999 cname:x", "a=sctp-port:-1", "a=candidate:1 1 udp 1 x 1 typ host",
        "a=ice-ufrag:", "a=extmap:0 x", "a=rtcp-fb:* nack", "\x00\u202e\U0001f600", "a=max-message-size:" + "9" * 400,
        "a=rtpmap:96 VP8/90000", "a=recvonly", "a=inactive", "a=bundle-only", "a=ice-lite", "b=AS:1e999",
    )
)  # fmt: skip


@cache
def real_offer(publishes: bool) -> str:
    async def make() -> str:
        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            direction = "sendonly" if publishes else "recvonly"
            for kind in ("audio", "video"):
                pc.addTransceiver(kind, direction=direction)
            open_channel(pc)
            await pc.setLocalDescription(await pc.createOffer())
            return str(pc.localDescription.sdp)
        finally:
            await pc.close()

    return asyncio.run(make())


OFFERS = {publishes: real_offer(publishes) for publishes in (True, False)}


@st.composite
def offers(draw: st.DrawFn) -> tuple[bool, str]:
    publishes = draw(st.booleans())
    lines = OFFERS[publishes].split("\r\n")
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(lines) - 1))
        how = draw(st.sampled_from(("drop", "double", "odd", "number", "cut", "swap", "unicode", "long")))
        if how == "drop" and len(lines) > 1:
            del lines[at]
        elif how == "double":
            lines.insert(at, lines[at])
        elif how == "odd":
            lines.insert(at, draw(ODD))
        elif how == "number":
            number = draw(st.sampled_from(("-1", "0", "99999999999999999999", "1e9", "\u0663")))
            lines[at] = "".join(number if c.isdigit() else c for c in lines[at])
        elif how == "cut":
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        elif how == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif how == "unicode":
            lines[at] += draw(st.text(max_size=8))
        else:
            lines[at] += "x" * 65_536
    return publishes, draw(st.sampled_from(("\r\n", "\r\n", "\r\n", "\n"))).join(lines)


def threads() -> set[threading.Thread]:
    # The loop's own helpers live as long as the loop.
    return {thread for thread in threading.enumerate() if thread.is_alive() and not thread.name.startswith("asyncio")}


async def answered(publishes: bool, sdp: str) -> bool:
    """Offer `sdp` to a node of its own, and see that nothing is left when it is closed."""
    escaped: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: escaped.append(repr(context)))
    before, tasks = threads(), set(asyncio.all_tasks())
    node = LiplineNode(None, WINDOW)
    taken = False
    try:
        async with asyncio.timeout(90.0):
            with contextlib.suppress(NegotiationError):
                accept = node.accept_caller if publishes else node.accept_viewer
                answer = await accept(sdp, "somebody")
                assert answer.startswith("v=0")
                taken = True
            if not taken:
                # What was refused holds nothing: the same peer can offer again at once.
                assert node.snapshot("somebody") == {}
    finally:
        await node.close()
    for _ in range(1000):
        left = {task for task in asyncio.all_tasks() - tasks if not task.done()}
        if not left and threads() <= before:
            break
        await asyncio.sleep(0.05)
    assert not left, left
    assert threads() <= before, threads() - before
    assert not escaped, escaped
    return taken


@fuzz()
@given(offers())
def test_any_offer_is_answered_or_refused_and_leaves_nothing(offer: tuple[bool, str]) -> None:
    asyncio.run(answered(*offer))


@fuzz(0.3)
@given(st.booleans(), st.text(max_size=300))
def test_any_text_is_refused(publishes: bool, text: str) -> None:
    assert not asyncio.run(answered(publishes, text))


def test_the_unbroken_offers_are_answered() -> None:
    for publishes, sdp in OFFERS.items():
        assert asyncio.run(answered(publishes, sdp))


WORDS = ("candidate:1", "1", "udp", "tcp", "2130706431", "127.0.0.1", "::1", "9", "99999", "typ", "host", "srflx")
CANDIDATES = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.one_of(st.sampled_from(WORDS),
                  st.text(max_size=6)),
        max_size=12,
    ).map(" ".join),
    st.just("candidate:1 1 udp 2130706431 127.0.0.1 9 typ host"),
    st.just("candidate:1 1 udp 1 " + "x" * 900 + ".local 9 typ host"),
)  # fmt: skip


@fuzz(0.3)
@given(st.lists(st.tuples(CANDIDATES, st.sampled_from(("", "0", "1", "7", "\u2028")), st.booleans()), max_size=12))
def test_any_candidate_is_taken_or_ignored_and_the_call_goes_on(candidates: list[tuple[str, str, bool]]) -> None:
    async def run() -> None:
        node = LiplineNode(None, WINDOW)
        try:
            await node.accept_caller(OFFERS[True], "somebody")
            for candidate, mid, known in candidates:
                await node.add_candidate("somebody" if known else "nobody", candidate, mid)
            assert list(node.calls) == ["somebody"], "the call goes on"
            assert (await node.accept_caller(OFFERS[True], "somebody")).startswith("v=0"), "and its publisher is served"
        finally:
            await node.close()

    asyncio.run(asyncio.wait_for(run(), 90.0))
