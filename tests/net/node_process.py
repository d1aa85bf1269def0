"""A node that keeps a diary: `lipline serve` for one room, with what the node counted as JSON lines in a file.

    python tests/net/node_process.py TOKEN PORT DIARY

Every 200 ms a line `{"at_ms", "stats", "ticks": [[at_ms, video, output, kind, skew_ms], ...]}` is written, times on
CLOCK_MONOTONIC, which all namespaces share. It prints "ready" when peers can join, and ends on SIGTERM.
"""

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Any, TextIO

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from client.serve.host import filter_node, hosted  # noqa: E402
from realtime.clock import MonotonicClock  # noqa: E402
from realtime.process import tune  # noqa: E402
from realtime.rtc.node.node import LiplineNode  # noqa: E402

PERIOD_S = 0.2
ROOM = "net"


async def serve(token: str, port: int, diary: TextIO) -> None:
    clock = MonotonicClock()
    async with hosted([ROOM], token, lambda: filter_node("lite", "cpu"), host="0.0.0.0", port=port) as here:
        node = here.nodes[ROOM]
        assert isinstance(node, LiplineNode)
        print("ready", flush=True)
        last_ms = -1.0
        while not all(agent.done() for agent in here.agents):
            await asyncio.sleep(PERIOD_S)
            ticks = [tick for tick in node.timeline() if tick.at_ms > last_ms]
            last_ms = ticks[-1].at_ms if ticks else last_ms
            line: dict[str, Any] = {"at_ms": clock.now_ms(), "stats": node.snapshot()}
            line["ticks"] = [
                [tick.at_ms, tick.video.value, tick.output.value, tick.kind.value, tick.skew_ms] for tick in ticks
            ]
            print(json.dumps(line), file=diary, flush=True)


async def main() -> None:
    token, port, path = sys.argv[1:]
    with open(path, "w") as diary:  # noqa: ASYNC230
        task = asyncio.create_task(serve(token, int(port), diary))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await task


if __name__ == "__main__":
    tune()
    asyncio.run(main())
