"""The line that `lipline cam` keeps at the bottom of the terminal."""

from typing import Final

from realtime.cam.modes import Mode
from realtime.cam.output import CamStatus
from realtime.face.occlusion import BEFORE_MOUTH, TURNED
from realtime.statusline import StatusLine

_STATES: Final = {
    "real": "real",
    "synth": "synthetic",
    "returning": "coming back",
    "still": "standing still",
    "waiting": "no picture yet",
}
_WHY: Final = {TURNED: "head turned away", BEFORE_MOUTH: "mouth covered"}


def status_text(status: CamStatus, faces: int = 1, followed: int = 0) -> str:
    """Return what is shown now in one line of at most 100 characters.

    `faces` is how many are in view; `followed` which of them is followed, counted from the left, 0 for none.
    """
    parts = [
        status.mode.value,
        f"{_STATES.get(status.state, status.state)} {_duration(status.since_ms)}",
        f"{status.fps:.0f} fps",
    ]
    if faces > 1:
        parts.insert(2, f"{_place(followed)}{faces} faces")
    if status.why is not None:
        parts.insert(2, f"{_what_then(status)}: {_WHY.get(status.why, 'no face in view')}")
    else:
        parts += _timing(status)
    if not status.heard:
        parts.append("no sound")
    elif status.learned.used:
        parts.append(f"knows your lips ({_duration(1000.0 * status.learned.seconds)})")
    return " | ".join(parts)


def _timing(status: CamStatus) -> list[str]:
    parts = []
    if status.mode is Mode.THROUGH and status.latency_ms:
        parts.append(f"+{status.latency_ms:.0f} ms")
    late = f"lips {status.behind_ms:.0f} ms late"
    parts.append(late if status.behind_ms else f"lips ±{status.skew_ms:.0f} ms")
    if status.heard:
        parts.append(f"sound {status.sound_ms:.0f} ms")
    return parts


def _what_then(status: CamStatus) -> str:
    """Return what follows from a face that cannot be worked on, in words."""
    if status.state == "still":
        return "paused"
    return "your own lips" if status.mode is Mode.DUB else "could not step in"


def _place(number: int) -> str:
    return f"{number}{('st', 'nd', 'rd')[number - 1] if number <= 3 else 'th'} of " if number else ""


def _duration(ms: float) -> str:
    seconds = int(ms / 1000.0)
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60}:{seconds % 60:02d} min"


def show_status(line: StatusLine, status: CamStatus, faces: int = 1, followed: int = 0) -> None:
    """Show `status_text` on `line`; in a log only when something changes."""
    mark = status.mode, status.state, status.why, faces, followed
    line.show(status_text(status, faces, followed), mark)
