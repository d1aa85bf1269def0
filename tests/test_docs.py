"""What the documents point to is there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "models" / "weights").glob("*.md")]
SOURCES = [path for top in ("benchmarks", "client", "models", "realtime", "signaling", "train", "tests")
           for path in (ROOT / top).rglob("*.py")]  # fmt: skip
OURS = re.compile(r"`((?:realtime|client|models|train|benchmarks|signaling|tests)/[\w/.-]+\.(?:py|js|md|toml|sh))\b")


def test_every_link_leads_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            if not target.startswith("http") and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


def test_every_page_that_is_named_exists() -> None:
    named = re.compile(r"docs/(?:design|results)/[\w.-]+\.(?:md|png|json)")
    broken = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (*PAGES, *SOURCES)
        if path.name != "CHANGELOG.md"
        for name in named.findall(path.read_text())
        if not (ROOT / name).exists()
    }
    assert not broken


def test_every_source_file_that_is_named_exists() -> None:
    broken = {
        f"{page.relative_to(ROOT)}: {name}"
        for page in PAGES
        if page.name != "CHANGELOG.md"
        for name in OURS.findall(page.read_text())
        if not (ROOT / name).exists()
    }
    assert not broken


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120
