"""What the fixtures for peer connections give to tests."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiortc import RTCPeerConnection

MakePc = Callable[[], RTCPeerConnection]
"""Make a connection that needs no other server."""

Negotiate = Callable[[RTCPeerConnection, RTCPeerConnection], Awaitable[None]]
"""Connect two of them over loopback, until the test ends."""


class Until(Protocol):
    """Wait until a condition holds; fail the test after `seconds`."""

    def __call__(self, condition: Callable[[], bool], seconds: float = 90.0) -> Awaitable[None]: ...
