"""Nobody's face is used before somebody said that it may be."""

import io
import json
import stat
import sys
from pathlib import Path

import pytest

from client.cam.consent import ConsentStore, data_folder, fingerprint, require_consent
from client.errors import UsageError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "me.jpg"
    path.write_bytes(b"a face")
    return path


def never(question: str) -> str:
    raise AssertionError(f"asked: {question}")


def test_it_asks_once_and_remembers_by_the_files_content(photo: Path, tmp_path: Path) -> None:
    store, asked = ConsentStore(tmp_path / "data"), []

    def yes(question: str) -> str:
        asked.append(question)
        return "y"

    require_consent(photo, store=store, ask=yes, terminal=Terminal())
    moved = photo.rename(tmp_path / "other name.jpg")
    require_consent(moved, store=ConsentStore(tmp_path / "data"), ask=never, terminal=Terminal())
    assert len(asked) == 1 and "me.jpg" in asked[0]
    moved.write_bytes(b"another face")
    require_consent(moved, store=store, ask=yes, terminal=Terminal())
    assert len(asked) == 2


def test_what_is_kept_is_a_hash_and_an_answer_for_this_user_alone(photo: Path, tmp_path: Path) -> None:
    store = ConsentStore(tmp_path / "data")
    require_consent(photo, store=store, ask=lambda _: "YES", terminal=Terminal())
    kept = json.loads(store.path.read_text())
    assert list(kept) == [fingerprint(photo)] and kept[fingerprint(photo)]["may_use"] is True
    assert set(kept[fingerprint(photo)]) == {"may_use", "how", "at"}
    if sys.platform != "win32":
        assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert [path.name for path in store.path.parent.iterdir()] == ["consent.json"]


@pytest.mark.parametrize("answer", ["", "n", "no", "maybe"])
def test_anything_but_yes_is_no_and_is_asked_again(photo: Path, tmp_path: Path, answer: str) -> None:
    store = ConsentStore(tmp_path / "data")
    for _ in range(2):
        with pytest.raises(UsageError, match="not used"):
            require_consent(photo, store=store, ask=lambda _: answer, terminal=Terminal())
    assert not store.path.exists()


def test_the_end_of_input_is_no(photo: Path, tmp_path: Path) -> None:
    def gone(_: str) -> str:
        raise EOFError

    with pytest.raises(UsageError, match="not used"):
        require_consent(photo, store=ConsentStore(tmp_path), ask=gone, terminal=Terminal())


def test_without_a_terminal_it_names_the_flag(photo: Path, tmp_path: Path) -> None:
    store = ConsentStore(tmp_path / "data")
    with pytest.raises(UsageError, match="--i-may-use-this"):
        require_consent(photo, store=store, ask=never, terminal=io.StringIO())
    require_consent(photo, said_so=True, store=store, ask=never, terminal=io.StringIO())
    require_consent(photo, store=store, ask=never, terminal=io.StringIO())
    assert json.loads(store.path.read_text())[fingerprint(photo)]["how"] == "flag"


@pytest.mark.parametrize("content", ["", "no json", "[]", '{"x": 1}'])
def test_a_damaged_store_says_nothing(photo: Path, tmp_path: Path, content: str) -> None:
    store = ConsentStore(tmp_path)
    store.path.write_text(content)
    assert not store.confirmed(fingerprint(photo))
    store.confirm(fingerprint(photo), "asked")
    assert store.confirmed(fingerprint(photo))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        require_consent(tmp_path / "none.jpg", store=ConsentStore(tmp_path))


def test_each_system_has_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert data_folder("linux") == Path("/data/lipline")
    assert data_folder("win32") == Path("/local/lipline")
    assert data_folder("darwin").parts[-3:] == ("Library", "Application Support", "lipline")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert data_folder("linux").parts[-3:] == (".local", "share", "lipline")
