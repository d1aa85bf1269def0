"""What the server gives to browsers: the bundled files, all of them, and nothing else."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from client.serve.pages import FILES, page

WEB = Path(__file__).resolve().parents[3] / "client" / "web"


def test_the_list_is_the_folder() -> None:
    assert sorted(FILES) == sorted(path.name for path in WEB.iterdir())


def test_every_file_comes_with_its_type() -> None:
    types = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8",
             "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}  # fmt: skip
    for name in FILES:
        found = page(f"/{name}")
        assert found is not None
        assert found.body == (WEB / name).read_bytes()
        assert found.content_type == types[name.rpartition(".")[2]]


def test_the_root_is_the_call_page() -> None:
    assert page("/") == page("/index.html")


@pytest.mark.parametrize(
    "path",
    ["", "main.js", "//main.js", "/../pages.py", "/..%2fpages.py", "/web/main.js", "/./main.js", "/main.js/",
     "/MAIN.JS", "/%2e%2e/pages.py", "/\x00",
     "/index.html\x00", "\\main.js", "/etc/passwd", "/main.js?x", "/" + "a" * 9999],
)  # fmt: skip
def test_nothing_else_is_given(path: str) -> None:
    assert page(path) is None


class _Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.wants: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script" and "src" not in given or tag == "style":
            self.inline.append(tag)
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        if tag in ("script", "img"):
            self.wants.append(given.get("src") or "")
        if tag == "link":
            self.wants.append(given.get("href") or "")


def test_the_page_keeps_to_its_policy() -> None:
    """The server sends default-src 'self': nothing inline, nothing from elsewhere."""
    outline = _Outline()
    outline.feed((WEB / "index.html").read_text())
    assert outline.inline == []
    assert outline.wants and all(page(path) for path in outline.wants)


def test_modules_import_what_is_there_and_nothing_from_elsewhere() -> None:
    for path in WEB.glob("*.js"):
        text = path.read_text()
        for wanted in re.findall(r'^(?:import|export)[^"\n]*from "([^"]+)"', text, re.MULTILINE):
            assert wanted.startswith("./") and page(wanted[1:]), f"{path.name} imports {wanted}"
        assert not re.search(r"\b(?:eval|Function)\(|innerHTML|outerHTML|insertAdjacentHTML|document\.write", text), (
            path.name
        )
        assert "https://" not in text and "http://" not in text.replace("http://localhost:", ""), path.name
