"""One cell with real processes; a call takes its time, so that this is not among the quick tests."""

import json
from pathlib import Path

import pytest

from benchmarks.wire import matrix
from benchmarks.wire.verdict import TARGETS


@pytest.mark.slow
def test_a_cell_is_measured_with_and_without_the_filter(tmp_path: Path) -> None:
    out, doc = tmp_path / "out", tmp_path / "matrix.md"
    arguments = ["--out", str(out), "--doc", str(doc), "--seconds", "10", "--cells", "loss5-jitter0-rate2000"]
    assert matrix.main(arguments) == 0
    record = json.loads((out / "cells.json").read_text())["cells"]["loss5-jitter0-rate2000"]
    for name in ("lipline", "plain"):
        found = record[name]
        assert found["pictures"] > 0
        assert 0.0 <= found["missingShare"] <= 1.0
        # Five of a hundred are drawn by the link, whatever the machine does besides.
        assert 0.01 < found["linkLostAudio"] < 0.12
        assert found["soundDelayLeadMs"] is None or found["soundDelayLeadMs"] > 0.0
    assert record["lipline"]["concealedShare"] is not None
    assert "concealedShare" not in record["plain"]
    assert all(target.words in doc.read_text() for target in TARGETS)
