"""Keys come one by one, and the terminal is as before."""

import asyncio
import io
import os
import pty
import select
import termios
from collections.abc import Iterator
from typing import Any

import pytest

from client.cam.keys import Keys


@pytest.fixture
def terminal() -> Iterator[Any]:
    leader, follower = pty.openpty()
    stream = os.fdopen(follower, "r")
    yield leader, stream
    stream.close()
    os.close(leader)


@pytest.fixture
def foreground(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "tcgetpgrp", lambda descriptor: os.getpgrp())


async def type_in(leader: int, stream: Any, text: bytes) -> None:
    """Press keys at once and wait until they have been read."""
    os.write(leader, text)
    assert select.select([stream], [], [], 90.0)[0], "the terminal never gave what was typed"
    async with asyncio.timeout(90.0):
        while select.select([stream], [], [], 0.0)[0]:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_keys_are_read_one_by_one_and_the_terminal_is_put_back(terminal: Any, foreground: Any) -> None:
    leader, stream = terminal
    before, pressed = termios.tcgetattr(stream), list[str]()
    async with Keys(pressed.append, stream) as keys:
        assert keys.active and not termios.tcgetattr(stream)[3] & termios.ICANON
        assert termios.tcgetattr(stream)[3] & termios.ISIG, "Ctrl-C must stay Ctrl-C"
        await type_in(leader, stream, b"pd")
        assert pressed == ["p", "d"]
        await type_in(leader, stream, b"\x1b[A")
        await type_in(leader, stream, b"q")
        assert pressed == ["p", "d", "q"], "an arrow means nothing"
    assert termios.tcgetattr(stream) == before


async def test_the_terminal_is_put_back_after_a_failure(terminal: Any, foreground: Any) -> None:
    _, stream = terminal
    before = termios.tcgetattr(stream)
    with pytest.raises(KeyboardInterrupt):
        async with Keys(lambda key: None, stream):
            raise KeyboardInterrupt
    assert termios.tcgetattr(stream) == before


async def test_nothing_is_read_in_the_background(terminal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "tcgetpgrp", lambda descriptor: os.getpgrp() + 1)
    async with Keys(lambda key: None, terminal[1]) as keys:
        assert not keys.active


async def test_without_a_terminal_there_are_no_keys() -> None:
    async with Keys(lambda key: None, io.StringIO("q")) as keys:
        assert not keys.active
