"""The preview window itself: a process of its own, since toolkits want the main thread and the call wants its time.

Standard input carries pictures: a length (4 bytes, little endian), so much JSON
`{"w", "h", "caption", "faces": [[number, x0, y0, x1, y1, followed], ...]}`, then w * h * 3 bytes of RGB. Standard
output carries a line of JSON for each thing that happens: `{"ready": true}`, `{"error": TEXT}`, `{"key": "p"}`,
`{"at": [x, y]}` as shares of width and height. The end of the input closes the window.
"""

import json
import signal
import struct
import sys
import threading
from typing import Any, BinaryIO, Final

NO_TKINTER: Final = "this Python has no tkinter: sudo apt install python3-tk (Debian), brew install python-tk (macOS)"
HINT: Final = (
    "t through   p photo   d dub   a away   f next face   q quit\nClick a face, or press its number, to follow it."
)
_POLL_MS: Final = 20
_FOLLOWED, _OTHER, _SHADE = "#b79cff", "#ffffff", "#14151a"


def tell(**what: object) -> None:
    """Write one line to the process that started this one."""
    print(json.dumps(what), flush=True)


class Newest:
    """Read pictures on a thread and keep the newest."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._picture: tuple[dict[str, Any], bytes] | None = None
        self.over = False
        threading.Thread(target=self._read, daemon=True).start()

    def take(self) -> tuple[dict[str, Any], bytes] | None:
        """Return the newest picture, once."""
        picture, self._picture = self._picture, None
        return picture

    def _read(self) -> None:
        try:
            while length := self._stream.read(4):
                about = json.loads(self._stream.read(struct.unpack("<I", length)[0]))
                self._picture = about, self._stream.read(about["w"] * about["h"] * 3)
        except (ValueError, OSError, struct.error):
            pass  # who started this is gone in the middle of a picture
        self.over = True


class Window:
    """Show pictures with a box and a number on each face; report clicks and keys."""

    def __init__(self, tk: Any, newest: Newest) -> None:
        self._tk, self._newest = tk, newest
        self._root = tk.Tk(className="lipline")
        self._root.title("lipline preview")
        self._root.resizable(False, False)
        self._size = 400, 300
        self._canvas = tk.Canvas(self._root, width=400, height=300, highlightthickness=0, background=_SHADE)
        self._canvas.pack()
        # Two lines high whatever it says, so that the picture stays where it is.
        self._caption = tk.Label(
            self._root, anchor="nw", justify="left", height=2, wraplength=388, text="waiting for a picture"
        )
        self._caption.pack(fill="x", padx=6, pady=(4, 0))
        tk.Label(self._root, anchor="w", justify="left", font="TkSmallCaptionFont", text=HINT).pack(
            fill="x", padx=6, pady=4
        )
        self._image: Any = None
        self._canvas.bind("<Button-1>", self._clicked)
        self._root.bind("<Key>", self._pressed)
        self._root.after(0, self._poll)

    def run(self) -> None:
        """Show until it is closed or the input ends."""
        self._root.mainloop()

    def _pressed(self, event: Any) -> None:
        if event.char and event.char.isprintable():
            tell(key=event.char.lower())

    def _clicked(self, event: Any) -> None:
        width, height = self._size
        tell(at=[min(max(event.x / width, 0.0), 1.0), min(max(event.y / height, 0.0), 1.0)])

    def _poll(self) -> None:
        if self._newest.over:
            self._root.destroy()
            return
        picture = self._newest.take()
        if picture is not None:
            self._show(*picture)
        self._root.after(_POLL_MS, self._poll)

    def _show(self, about: dict[str, Any], pixels: bytes) -> None:
        width, height = size = about["w"], about["h"]
        if size != self._size:
            self._size = size
            self._canvas.configure(width=width, height=height)
            self._caption.configure(wraplength=width - 12)
        self._image = self._tk.PhotoImage(data=b"P6 %d %d 255\n" % size + pixels, format="PPM")
        self._canvas.delete("all")
        self._canvas.create_image(0, 0, anchor="nw", image=self._image)
        for number, x0, y0, x1, y1, followed in about["faces"]:
            colour, dash = (_FOLLOWED, ()) if followed else (_OTHER, (4, 3))
            self._canvas.create_rectangle(x0, y0, x1, y1, outline=_SHADE, width=4)
            self._canvas.create_rectangle(x0, y0, x1, y1, outline=colour, width=2, dash=dash)
            # Who is followed is said by a sign, too: colours carry no meaning alone.
            text = f"{number} ✓" if followed else f"{number}"
            label = self._canvas.create_text(
                x0 + 5, max(y0, 0) + 3, anchor="nw", text=text, fill=_SHADE, font="TkDefaultFont"
            )
            back = self._canvas.create_rectangle(*self._canvas.bbox(label), fill=colour, outline=colour, width=3)
            self._canvas.tag_raise(label, back)
        self._caption.configure(text=about["caption"])


def main() -> int:
    """Run the window; print a line that says why when there can be none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends who started this, and with it the input
    try:
        import tkinter
    except ImportError:
        tell(error=NO_TKINTER)
        return 1
    try:
        window = Window(tkinter, Newest(sys.stdin.buffer))
    except tkinter.TclError as error:
        tell(error=f"there is no screen to show it on ({error})")
        return 1
    tell(ready=True)
    window.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
