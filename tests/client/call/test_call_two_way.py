"""`lipline call` with a node in one process: two people at once, broken signaling, broken media."""

import argparse
import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from relay import Relay

from client.call import command as call
from client.call import parts
from client.call.recorder import Recording
from client.call.sender import Sending, clip_tracks
from client.errors import UsageError
from client.main import build_parser
from client.serve.host import hosted
from models.alignment import MelWindow
from realtime.clock import Clock, MonotonicClock
from realtime.media_file import probe, read_audio, read_video, write_media
from realtime.rtc.node.node import LiplineNode, NodeConfig

NODES: list[LiplineNode] = []


@pytest.fixture(scope="module")
def small_clip(caller_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a clip that four codecs in one process can keep up with."""
    path = tmp_path_factory.mktemp("clip") / "small.mp4"
    frames = (
        np.asarray(cv2.resize(frame.image, (160, 120)), np.uint8)
        for frame in itertools.islice(read_video(caller_clip), 50)
    )
    write_media(path, frames, 25.0, read_audio(caller_clip, 48_000)[: 48_000 * 2])
    return path


def make_node() -> LiplineNode:
    NODES.append(LiplineNode(None, MelWindow.for_lookahead(80.0), config=NodeConfig(max_callers=2)))
    return NODES[-1]


def options(url: str, clip: Path | None = None, view: Path | None = None, **more: object) -> argparse.Namespace:
    parser = build_parser("call")
    arguments = ["call", url, "--room", "r", "--token", "t"]
    arguments += ["--clip", str(clip)] if clip else []
    arguments += ["--view", str(view)] if view else []
    return parser.parse_args([*arguments, *(str(part) for pair in more.items() for part in (f"--{pair[0]}", pair[1]))])


async def until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def calling(*people: argparse.Namespace) -> AsyncIterator[list["asyncio.Task[None]"]]:
    tasks = [asyncio.create_task(call.take_part(person)) for person in people]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def frames_real(node: LiplineNode) -> list[int]:
    return [int(str(node.snapshot(peer_id).get("framesReal", 0))) for peer_id in node.calls]


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[Recording]:
    """Give all recordings that calls begin."""
    made: list[Recording] = []

    def make(path: Path, clock: Clock) -> Recording:
        made.append(Recording(path, clock))
        return made[-1]

    monkeypatch.setattr(parts, "Recording", make)
    return made


async def test_two_people_record_each_other(small_clip: Path, tmp_path: Path, recordings: list[Recording]) -> None:
    seen = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    async with hosted(["r"], "t", make_node) as here:
        node = here.nodes["r"]
        assert isinstance(node, LiplineNode)
        async with calling(*(options(here.url, small_clip, path) for path in seen)):
            # What the node sends is seen once it is connected to who records, and from a keyframe on.
            await until(lambda: len(recordings) == 2 and all(recording.seconds > 0.4 for recording in recordings))
            assert min(frames_real(node)) > 0 and len(node.calls) == len(node.views) == 2
            assert {of for _, of in node.views} == set(node.calls)
            assert all(viewer != of for viewer, of in node.views), "nobody records oneself"
    for path in seen:
        found = probe(path)
        assert (found.width, found.height) == (160, 120)
        assert found.duration_ms > 400.0


async def test_a_call_outlives_its_signaling_and_its_media(
    small_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = ""

    def says(words: str) -> bool:
        nonlocal shown
        shown += capsys.readouterr().out
        return words in shown

    async with hosted(["r"], "t", make_node) as here, Relay(here.url) as relay:
        node = here.nodes["r"]
        assert isinstance(node, LiplineNode)
        async with calling(options(relay.url, small_clip)) as tasks:
            await until(lambda: sum(frames_real(node)) > 10)
            ((peer_id, first),) = node.calls.items()
            pc = first.pc
            assert pc is not None
            relay.cut()
            await until(lambda: says("joined again"))
            assert says("the signaling connection broke") and not says("another seat")
            assert node.calls == {peer_id: first} and first.pc is pc
            await pc.close()
            await until(lambda: first.pc is not pc and first.pc is not None and first.pc.connectionState == "connected")
            frames = sum(frames_real(node))
            assert frames > 10, "the same call goes on"
            await until(lambda: sum(frames_real(node)) > frames + 10)
            assert node.calls == {peer_id: first}
            assert not tasks[0].done()
    assert says("connecting again")


async def test_a_clip_is_sent_over_and_over(small_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sending = Sending(clip_tracks(small_clip), MonotonicClock(), again=lambda: clip_tracks(small_clip))
    sent = sending.uplink().peer
    pictures: list[float] = []
    blocks: list[float] = []
    monkeypatch.setattr(sent, "put_frame", lambda frame: pictures.append(frame.media_ms))
    monkeypatch.setattr(sent, "put_audio", lambda block: blocks.append(block.media_ms))
    task = asyncio.create_task(sending.run())
    await until(lambda: len(pictures) > 60 and len(blocks) > 120)  # the clip has 50 and 100
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    sending.stop()
    await sent.close()
    assert all(b > a for stamps in (pictures, blocks) for a, b in zip(stamps, stamps[1:], strict=False))
    assert pictures[-1] > 2000.0


async def test_a_refusal_is_told(caller_clip: Path) -> None:
    def full() -> LiplineNode:
        return LiplineNode(None, MelWindow.for_lookahead(80.0), config=NodeConfig(max_callers=0))

    async with hosted(["r"], "t", full) as here:
        with pytest.raises(UsageError, match="refused: this node filters at most 0"):
            await call.take_part(options(here.url, caller_clip))
