"""The speed benchmark measures what it says it measures."""

import json
import time
from pathlib import Path

import pytest

from benchmarks import speed


def test_cold_stands_apart_from_warm() -> None:
    waits = iter([0.02, 0.0, 0.0, 0.0])

    def work(index: int) -> None:
        time.sleep(next(waits))

    row = speed.timed("sleep", work, 4)
    assert row.cold_ms >= 20.0 > row.median_ms


def test_parts_that_are_compared_take_turns() -> None:
    order: list[str] = []
    parts = {name: lambda i, name=name: order.append(f"{name}{i}") for name in ("a", "b")}
    rows = speed.timed_in_turn(parts, 2)
    assert order == ["a0", "b0", "a1", "b1"] and [row.part for row in rows] == ["a", "b"]


def test_the_table_covers_a_call_and_is_written_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speed, "FRAMES", 8)
    monkeypatch.setattr(speed, "stock_generator", lambda threads, folder: None)
    assert speed.main(["--json", str(tmp_path / "speed.json")]) == 0
    printed = capsys.readouterr().out
    written = json.loads((tmp_path / "speed.json").read_text())
    parts = [row["part"] for row in written["rows"]]
    assert parts == [
        "mel, 20 ms of speech",
        "FaceMesh, 640x480",
        "lite: prepare a past frame (once)",
        "hearing, 40 ms of speech",
        "lite",
        "synthetic frame, all of it",
        "hand-back frame, all of it",
    ]
    assert all(part in printed for part in parts)
    assert all(row["median_ms"] > 0 for row in written["rows"])
    assert "onnxruntime" in written["machine"]["versions"]
    assert written["machine"]["threads"] == "2"
