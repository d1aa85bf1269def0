"""The line that `lipline cam` keeps at the bottom of the terminal."""

import sys
from typing import Final, TextIO

from realtime.cam.left import CamStatus
from realtime.cam.modes import Mode

_STATES: Final = {
    "real": "real",
    "synth": "synthetic",
    "returning": "coming back",
    "still": "standing still",
    "waiting": "no picture yet",
}


def status_text(status: CamStatus) -> str:
    """Return what is shown now in one line of at most 100 characters."""
    made = status.mode is not Mode.THROUGH
    parts = [
        status.mode.value,
        f"{_STATES.get(status.state, status.state)} {_duration(status.since_ms)}",
        f"{status.fps:.0f} fps",
    ]
    if not made and status.latency_ms:
        parts.append(f"+{status.latency_ms:.0f} ms")
    if status.behind_ms:
        parts.append(f"lips {status.behind_ms:.0f} ms late")
    else:
        parts.append(f"lips ±{status.skew_ms:.0f} ms")
    parts.append(f"sound {status.sound_ms:.0f} ms" if status.heard else "no sound")
    return " | ".join(parts)


def _duration(ms: float) -> str:
    seconds = int(ms / 1000.0)
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60}:{seconds % 60:02d} min"


class StatusLine:
    """Keep one line up to date below what is said; on something other than a terminal tell changes only."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._told: tuple[Mode, str] | None = None
        self._drawn = False

    def show(self, status: CamStatus) -> None:
        """Show what is shown now."""
        if self._terminal:
            self._stream.write(f"\r\x1b[K{status_text(status)}")
            self._stream.flush()
            self._drawn = True
            return
        now = status.mode, status.state
        if now != self._told:
            self._told = now
            self._stream.write(f"lipline cam: {status_text(status)}\n")
            self._stream.flush()

    def say(self, text: str) -> None:
        """Say something that stays."""
        self.clear()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn = False
