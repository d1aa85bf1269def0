"""Two people and more in one process: both directions filtered, late joins, leaving, and connections that break."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import aioice.ice
import pytest
from peers import Until
from people import WINDOW, Publisher, ShadeRenderer, Watcher

from models.alignment import MelWindow
from realtime.picture.monitor import VideoState
from realtime.rtc.control import Control, ControlType, decode, send
from realtime.rtc.node.node import LiplineNode, NegotiationError, NodeConfig
from realtime.rtc.node.plain import PlainNode

PATIENCE_S = 90.0  # a machine that others use as well may need it; on an idle one nothing here takes 3 s
ANN, BOB = 200, 120
SYNTHETIC = {"ann": 30, "bob": 70}


class Stage:
    """Give nodes, publishers and watchers, and close them all."""

    def __init__(self) -> None:
        self.renderers: dict[str, list[ShadeRenderer]] = {}
        self.actors: list[LiplineNode | PlainNode | Publisher | Watcher] = []

    def node(self, **config: Any) -> LiplineNode:
        def own(name: str) -> tuple[ShadeRenderer, MelWindow]:
            renderer = ShadeRenderer(SYNTHETIC.get(name, 10))
            self.renderers.setdefault(name, []).append(renderer)
            return renderer, WINDOW

        node = LiplineNode(None, WINDOW, personal=own, config=NodeConfig(**config))
        self.actors.insert(0, node)
        return node

    def publisher(self, peer_id: str, shade: int) -> Publisher:
        self.actors.append(actor := Publisher(peer_id, shade))
        return actor

    def watcher(self, peer_id: str, of: str = "") -> Watcher:
        self.actors.append(actor := Watcher(peer_id, of))
        return actor

    async def close(self) -> None:
        for actor in self.actors:
            await actor.close()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Give a stage; afterwards see that no thread and no task of a call is left."""
    ours = ("decoder", "synth")
    threads = {t for t in threading.enumerate() if any(name in t.name for name in ours)}
    tasks = asyncio.all_tasks()
    made = Stage()
    yield made
    await made.close()
    gc.collect()
    async with asyncio.timeout(PATIENCE_S):
        while any(not t.done() for t in asyncio.all_tasks() - tasks - {asyncio.current_task()}):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert not {t for t in threading.enumerate() if any(name in t.name for name in ours)} - threads


def near(level: float, shade: int) -> bool:
    return abs(level - shade) < 15


def sees(watcher: Watcher, shade: int) -> Callable[[], bool]:
    return lambda: near(watcher.shade, shade)


async def see(until: Until, *pairs: tuple[Watcher, int]) -> None:
    """Wait for each in turn: on a machine that stalls, pictures fall back to synthetic ones at any moment."""
    for watcher, shade in pairs:
        await until(sees(watcher, shade), PATIENCE_S)


async def test_two_people_see_each_other_filtered_and_a_third_sees_both(stage: Stage, until: Until) -> None:
    node = stage.node()
    ann, bob = stage.publisher("ann", ANN), stage.publisher("bob", BOB)
    ann_sees, bob_sees = stage.watcher("ann", "bob"), stage.watcher("bob", "ann")
    await ann.publish(node)
    await ann_sees.watch(node)  # bob does not publish yet
    await bob.publish(node)
    await bob_sees.watch(node)
    await see(until, (ann_sees, BOB), (bob_sees, ANN))
    carl_sees_ann, carl_sees_bob = stage.watcher("carl", "ann"), stage.watcher("carl", "bob")
    await carl_sees_ann.watch(node)
    await carl_sees_bob.watch(node)
    await see(until, (carl_sees_ann, ANN), (carl_sees_bob, BOB))
    await until(lambda: int(str(node.snapshot("bob")["framesObserved"])) >= 15, PATIENCE_S)
    bob.showing = False
    shade = SYNTHETIC["bob"]
    await see(until, (ann_sees, shade), (carl_sees_bob, shade), (bob_sees, ANN), (carl_sees_ann, ANN))
    bob.showing = True
    await see(until, (ann_sees, BOB), (carl_sees_bob, BOB))
    assert node.snapshot("ann")["viewers"] == 2 and node.snapshot("bob")["viewers"] == 2
    assert node.snapshot()["viewers"] == 2, "without an id it is who published first"
    assert node.snapshot("nobody") == {}
    assert all(len(watcher.packets) > 50 for watcher in (ann_sees, bob_sees, carl_sees_ann, carl_sees_bob))


async def test_who_leaves_is_closed_to_viewers_and_may_come_back(stage: Stage, until: Until) -> None:
    node = stage.node()
    ann, bob = stage.publisher("ann", ANN), stage.publisher("bob", BOB)
    ann_sees, bob_sees = stage.watcher("ann", "bob"), stage.watcher("bob", "ann")
    for step in (ann.publish(node), bob.publish(node), ann_sees.watch(node), bob_sees.watch(node)):
        await step
    await see(until, (ann_sees, BOB), (bob_sees, ANN))
    await node.drop("bob")
    await until(lambda: ann_sees.pc.connectionState == "closed" and ann_sees.channel.readyState == "closed")
    await until(lambda: bob_sees.pc.connectionState == "closed")
    assert [renderer.calls[-1][0] for renderer in stage.renderers["bob"]] == ["close"]
    again, anew = stage.publisher("bob2", BOB), stage.watcher("ann", "bob2")
    await anew.watch(node)
    await again.publish(node)
    await until(lambda: near(anew.shade, BOB), PATIENCE_S)
    assert node.snapshot("ann")["framesReal"], "ann's call never stopped"


async def test_a_goodbye_ends_a_call_at_once(stage: Stage, until: Until) -> None:
    node = stage.node(grace_s=1000.0)
    ann, watcher, anyone = stage.publisher("ann", ANN), stage.watcher("bob", "ann"), stage.watcher("carl")
    await ann.publish(node)
    await watcher.watch(node)
    await anyone.watch(node)
    await see(until, (watcher, ANN), (anyone, ANN))
    await ann.close()
    await until(lambda: watcher.pc.connectionState == "closed", PATIENCE_S)
    assert node.snapshot("ann") == {} and node.snapshot()["framesReal"], "the last call is remembered"
    bob = stage.publisher("bob", BOB)
    await bob.publish(node)
    await until(lambda: near(anyone.shade, BOB), PATIENCE_S)


async def test_viewers_of_nobody_in_particular_see_the_caller_before_others(stage: Stage, until: Until) -> None:
    node = stage.node()
    bob, ann, viewer = stage.publisher("bob", BOB), stage.publisher("ann", ANN), stage.watcher("carl")
    await viewer.watch(node)
    await bob.publish(node)
    await until(lambda: near(viewer.shade, BOB), PATIENCE_S)
    await ann.publish(node, main=True)
    await until(lambda: near(viewer.shade, ANN), PATIENCE_S)
    stamps = viewer.packets
    assert all(b > a for a, b in zip(stamps, stamps[1:], strict=False)), "sound's time never goes back"
    await node.drop("ann")
    await until(lambda: near(viewer.shade, BOB), PATIENCE_S)


async def test_a_new_offer_is_received_into_the_call_that_runs(stage: Stage, until: Until) -> None:
    node = stage.node()
    ann, watcher = stage.publisher("ann", ANN), stage.watcher("bob", "ann")
    await ann.publish(node)
    await watcher.watch(node)
    await until(lambda: int(str(node.snapshot("ann")["framesObserved"])) >= 15, PATIENCE_S)
    call = node.calls["ann"]
    worker, observed = call.worker, int(str(node.snapshot("ann")["framesObserved"]))
    real = int(str(node.snapshot("ann")["framesReal"]))
    received = int(str(node.snapshot("ann")["caller.audioPackets"]))
    await ann.publish(node)
    assert node.calls["ann"] is call and call.worker is worker
    assert int(str(node.snapshot("ann")["framesReal"])) >= real, "the counters of the path go on"
    await until(lambda: int(str(node.snapshot("ann")["framesObserved"])) >= observed + 30, PATIENCE_S)
    assert int(str(node.snapshot("ann")["caller.audioPackets"])) > received
    await until(lambda: near(watcher.shade, ANN), PATIENCE_S)
    assert watcher.pc.connectionState == "connected"
    assert len(stage.renderers["ann"]) == 1


@pytest.fixture
def quick_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ICE notice a dead peer in about five seconds instead of thirty (RFC 7675)."""
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.3)
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 6)


async def test_a_publisher_that_vanishes_is_kept_alive_until_it_comes_back(
    stage: Stage, until: Until, quick_consent: None
) -> None:
    node = stage.node(grace_s=1000.0)
    ann, watcher = stage.publisher("ann", ANN), stage.watcher("bob", "ann")
    await ann.publish(node)
    await watcher.watch(node)
    await until(lambda: int(str(node.snapshot("ann")["framesObserved"])) >= 15, PATIENCE_S)
    call = node.calls["ann"]
    worker = call.worker
    await ann.vanish()
    await until(lambda: call.pc is not None and call.pc.connectionState in ("failed", "closed"), PATIENCE_S)
    assert call.waiting
    seen, heard = len(watcher.shown), len(watcher.packets)
    await until(lambda: len(watcher.shown) >= seen + 10 and len(watcher.packets) >= heard + 20, PATIENCE_S)
    assert watcher.pc.connectionState == "connected"
    observed = int(str(node.snapshot("ann")["framesObserved"]))
    await ann.publish(node)
    await until(lambda: int(str(node.snapshot("ann")["framesObserved"])) >= observed + 15, PATIENCE_S)
    await until(lambda: near(watcher.shade, ANN) and node.timeline()[-1].video is VideoState.GOOD, PATIENCE_S)
    assert node.calls["ann"] is call and call.worker is worker
    stamps = watcher.packets
    assert all(b > a for a, b in zip(stamps, stamps[1:], strict=False)), "media time goes on"
    assert not call.waiting and len(stage.renderers["ann"]) == 1


async def test_a_publisher_that_stays_away_is_let_go(stage: Stage, until: Until, quick_consent: None) -> None:
    node = stage.node(grace_s=0.2)
    ann, watcher = stage.publisher("ann", ANN), stage.watcher("bob", "ann")
    await watcher.watch(node)
    await ann.publish(node)
    node.calls["ann"]._stop_waiting()  # a loaded machine may take longer to connect than this test's grace
    await until(lambda: near(watcher.shade, ANN), PATIENCE_S)
    await ann.vanish()
    await until(lambda: node.snapshot("ann") == {}, PATIENCE_S)
    await until(lambda: watcher.pc.connectionState == "closed", PATIENCE_S)
    await until(lambda: stage.renderers["ann"][0].calls[-1][0] == "close", PATIENCE_S)


async def test_a_bad_offer_harms_no_call_that_runs(stage: Stage, until: Until) -> None:
    node = stage.node()
    ann, watcher = stage.publisher("ann", ANN), stage.watcher("bob", "ann")
    await ann.publish(node)
    await watcher.watch(node)
    await until(lambda: near(watcher.shade, ANN), PATIENCE_S)
    with pytest.raises(NegotiationError):
        await node.accept_caller("garbage", "ann", "ann")
    with pytest.raises(NegotiationError):
        await node.accept_caller("garbage", "bob", "bob")
    assert node.snapshot("bob") == {}, "a call that never began holds no place"
    seen = len(watcher.shown)
    await until(lambda: len(watcher.shown) > seen + 5, PATIENCE_S)


async def test_only_so_many_are_filtered_at_once(stage: Stage, until: Until) -> None:
    node = stage.node(max_callers=1, max_views=1)
    ann, bob = stage.publisher("ann", ANN), stage.publisher("bob", BOB)
    await ann.publish(node)
    with pytest.raises(NegotiationError, match="at most 1"):
        await bob.publish(node)
    watcher = stage.watcher("bob", "ann")
    await watcher.watch(node)
    with pytest.raises(NegotiationError, match="at most 1 views"):
        await stage.watcher("carl", "somebody").watch(node)
    # A connection closed by one side in mid-handshake goes on checking at the other (aioice).
    await until(lambda: near(watcher.shade, ANN), PATIENCE_S)
    await node.drop("ann")
    await bob.publish(node)
    await until(lambda: node.snapshot("bob").get("framesReal") not in (None, 0), PATIENCE_S)


async def test_what_is_shown_is_told_to_who_watches_and_to_who_is_shown(stage: Stage, until: Until) -> None:
    node = stage.node(report_ms=20.0)
    ann, watcher = stage.publisher("ann", ANN), stage.watcher("bob", "ann")
    await watcher.watch(node)
    await ann.publish(node)
    assert ann.peer is not None
    mine: list[str] = []
    ann.peer.channel.on("message", mine.append)
    await until(lambda: any(word["state"] == "real" for word in watcher.told), PATIENCE_S)
    await until(lambda: any('"you":true' in text and '"real"' in text for text in mine), PATIENCE_S)
    await until(lambda: int(str(node.snapshot("ann")["framesObserved"])) >= 15, PATIENCE_S)
    ann.showing = False
    await until(lambda: watcher.told[-1]["state"] in ("synth", "still"), PATIENCE_S)
    word = watcher.told[-1]
    assert word["type"] == "output" and "you" not in word
    assert set(word) == {"type", "state", "since_ms", "concealed", "skew_ms"}


async def test_a_publisher_may_try_a_bad_link(stage: Stage, until: Until) -> None:
    node = stage.node()
    ann, watcher = stage.publisher("ann", ANN), stage.watcher("bob", "ann")
    await ann.publish(node)
    await watcher.watch(node)
    await until(lambda: near(watcher.shade, ANN), PATIENCE_S)
    assert ann.peer is not None
    channel = ann.peer.channel
    await until(lambda: channel.readyState == "open")
    answers: list[object] = []
    channel.on("message", lambda text: answers.append(decode(text)))
    assert send(channel, Control(ControlType.TRY_LINK, 1, kbps=0.0))
    await until(lambda: Control(ControlType.ACK, 1) in answers, PATIENCE_S)
    await until(lambda: node.timeline()[-1].video is not VideoState.GOOD, PATIENCE_S)
    got, spoken = int(str(node.snapshot("ann")["caller.audioPackets"])), ann.spoken
    await until(lambda: ann.spoken >= spoken + 25, PATIENCE_S)
    assert int(str(node.snapshot("ann")["caller.audioPackets"])) == got, "nothing passes"
    assert send(channel, Control(ControlType.TRY_LINK, 2, kbps=None))
    await until(lambda: int(str(node.snapshot("ann")["caller.audioPackets"])) > got + 50, PATIENCE_S)


async def test_leaving_while_a_model_loads_leaves_nothing_behind(stage: Stage) -> None:
    loading, go = threading.Event(), threading.Event()
    renderer = ShadeRenderer()

    def slow() -> ShadeRenderer:
        loading.set()
        assert go.wait(90.0)
        return renderer

    node = LiplineNode(slow, WINDOW)
    stage.actors.append(node)
    ann = stage.publisher("ann", ANN)
    publishing = asyncio.create_task(ann.publish(node))
    await asyncio.to_thread(loading.wait, PATIENCE_S)
    dropping = asyncio.create_task(node.drop("ann"))
    await asyncio.sleep(0)
    go.set()
    await dropping
    with pytest.raises(NegotiationError):
        await publishing
    assert renderer.calls[-1][0] == "close" and node.snapshot("ann") == {}


async def test_the_plain_node_forwards_two_people_to_each_other(stage: Stage, until: Until) -> None:
    node = PlainNode()
    stage.actors.append(node)
    ann, bob = stage.publisher("ann", ANN), stage.publisher("bob", BOB)
    ann_sees, bob_sees, anyone = stage.watcher("ann", "bob"), stage.watcher("bob", "ann"), stage.watcher("carl")
    early = asyncio.create_task(ann_sees.watch(node))
    await ann.publish(node)
    await bob_sees.watch(node)
    await bob.publish(node, main=True)
    await early
    await anyone.watch(node)
    await until(lambda: near(ann_sees.shade, BOB) and near(bob_sees.shade, ANN) and near(anyone.shade, BOB), PATIENCE_S)
    waiting = asyncio.create_task(node.accept_viewer("never read", "dora", "nobody"))
    await asyncio.sleep(0)  # it begins to wait at once
    await node.drop("dora")
    with pytest.raises(NegotiationError, match="left"):
        await waiting
    await node.drop("bob")
    await until(lambda: ann_sees.pc.connectionState == "closed")
