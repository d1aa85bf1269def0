"""The call page as `lipline serve` gives it to browsers: a fixed list of bundled files, read once."""

from functools import cache
from importlib.resources import files

from signaling.pages import Page

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
FILES = (
    "call.js",
    "camera.js",
    "card.js",
    "connection.js",
    "devices.js",
    "figures.js",
    "icon.svg",
    "index.html",
    "main.js",
    "media.js",
    "publish.js",
    "report.js",
    "room.js",
    "signaling.js",
    "stats.js",
    "style.css",
    "ticker.js",
    "tiles.js",
    "uplink.js",
    "watch.js",
    "words.js",
)


def page(path: str) -> Page | None:
    """Return the file at `path` (without its query), such as "/" or "/main.js"; None for everything else.

    A path is looked up in a list and never reaches the file system. The first call reads every file (some 80 kB).
    """
    return _pages().get(path)


@cache
def _pages() -> dict[str, Page]:
    folder = files("client") / "web"
    pages = {f"/{name}": Page((folder / name).read_bytes(), _TYPES[name.rpartition(".")[2]]) for name in FILES}
    return {**pages, "/": pages["/index.html"]}
