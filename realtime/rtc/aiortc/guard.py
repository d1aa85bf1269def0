"""The ground of all private access to aiortc: one known release, one instance at a time.

Import it through `realtime.rtc.aiortc` only.
"""

import re
from collections.abc import Awaitable, Callable
from functools import cache
from importlib.metadata import version
from typing import Any

TESTED = "1.16"

Undo = Callable[[], None]


class AiortcVersionError(RuntimeError):
    """The installed aiortc is not the release whose internals are known here."""


@cache
def require_tested_aiortc() -> None:
    """Check the installed release.

    Raises:
        AiortcVersionError: aiortc is not 1.16.x; the text names the command that installs it.
    """
    installed = version("aiortc")
    if not re.match(rf"{re.escape(TESTED)}(\.|$)", installed):
        raise AiortcVersionError(
            f"aiortc {installed} is installed, but lipline works with {TESTED}.x only: pip install 'aiortc=={TESTED}.0'"
        )


def private(owner: object, cls: type[object], name: str) -> Any:
    """Return private attribute `name` (with its two underscores) that `cls` gave `owner`.

    Raises:
        AttributeError: aiortc has renamed it.
    """
    require_tested_aiortc()
    return getattr(owner, f"_{cls.__name__}{name}")


def set_private(owner: object, cls: type[object], name: str, value: object) -> None:
    """Set a private attribute that is there; raises AttributeError when aiortc has renamed it."""
    private(owner, cls, name)
    setattr(owner, f"_{cls.__name__}{name}", value)


def wrap(owner: object, name: str, wrapper: Callable[..., Awaitable[Any]]) -> Undo:
    """Shadow coroutine method `name` of one instance by `wrapper(original, ...)`; return a function that removes it."""
    require_tested_aiortc()
    original = getattr(owner, name)

    async def shadow(*args: Any, **kwargs: Any) -> Any:
        return await wrapper(original, *args, **kwargs)

    setattr(owner, name, shadow)

    def undo() -> None:
        if owner.__dict__.get(name) is shadow:
            setattr(owner, name, original)

    return undo
