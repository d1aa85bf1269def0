"""Signaling server and lipline nodes in one process: what `lipline serve` and the demo run."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2

from client.serve.certificates import Tls
from client.serve.personal import open_personal
from models.hearing import Hearing
from realtime.face.synth import FaceSynth
from realtime.face.tracker import MediaPipeTracker
from realtime.rtc.node.node import LiplineNode
from signaling.agent import Node, NodeAgent
from signaling.client import SignalingClient
from signaling.messages import Role
from signaling.pages import Pages
from signaling.rooms import Rooms
from signaling.server import SignalingServer


@dataclass(frozen=True, slots=True)
class Hosted:
    """Where to join (`url` for peers, `page_url` for browsers), and the node of each room."""

    url: str
    page_url: str
    nodes: dict[str, Node]
    agents: list["asyncio.Task[None]"]


def filter_node(model: str, provider: str, personal: Path | None = None) -> LiplineNode:
    """Make a node with the filter; callers with a file in the folder `personal` get their own model.

    Raises:
        ModelError: there is no such model, or the provider does not start.
    """
    from models.catalog import open_generator

    # OpenCV's threads spin while they wait for each other: on two cores that other programs use they cost more than
    # they do.
    cv2.setNumThreads(1)
    # Opened here once, so that a wrong name is told before anybody calls.
    hearing = open_generator(model, provider).hearing

    def renderer() -> FaceSynth:
        # One thread: beside two codecs on two cores a second one is waited for more often than it helps.
        return FaceSynth(open_generator(model, provider, threads=1), MediaPipeTracker())

    def own(name: str) -> tuple[FaceSynth, Hearing] | None:
        generator = None if personal is None else open_personal(personal, name, provider, threads=1)
        return None if generator is None else (FaceSynth(generator, MediaPipeTracker()), generator.hearing)

    return LiplineNode(renderer, hearing, personal=own)


@asynccontextmanager
async def hosted(
    rooms: Sequence[str],
    token: str,
    make_node: Callable[[], Node],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: Tls | None = None,
    pages: Pages | None = None,
) -> AsyncIterator[Hosted]:
    """Serve signaling on `host` and `port` (0: a free one) with a node in each of `rooms`; all close at the end.

    The rooms exist from the start, and whoever joins one of them must bring `token`. `pages` go to browsers, and with
    `tls` all of it is wss and https. The process must be tuned (`realtime.process.tune`), or its loop falls behind.
    """
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            SignalingServer(Rooms(), host=host, port=port, tls=tls.server if tls else None, pages=pages)
        )
        reachable = "127.0.0.1" if host in ("0.0.0.0", "") else "::1" if host == "::" else host
        address = f"{f'[{reachable}]' if ':' in reachable else reachable}:{server.port}"
        secure = "s" if tls else ""
        url = f"ws{secure}://{address}"
        nodes: dict[str, Node] = {}
        agents: list[asyncio.Task[None]] = []
        for room in rooms:
            nodes[room] = make_node()
            stack.push_async_callback(nodes[room].close)
            client = await stack.enter_async_context(
                SignalingClient(
                    url,
                    room,
                    token,
                    role=Role.NODE,
                    name="lipline",
                    session=secrets.token_urlsafe(24),
                    tls=tls.own if tls else None,
                )
            )
            agent = asyncio.create_task(NodeAgent(client, nodes[room]).run(), name=f"agent {len(agents)}")
            agents.append(agent)
            stack.push_async_callback(_ended, agent)
        yield Hosted(url, f"http{secure}://{address}/", nodes, agents)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
