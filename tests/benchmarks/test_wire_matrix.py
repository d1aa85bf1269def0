"""What the matrix concludes, writes and goes on with."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks.wire import matrix
from benchmarks.wire.plan import Cell, schedule
from benchmarks.wire.report import report
from benchmarks.wire.store import Store, StoreError
from benchmarks.wire.verdict import TARGETS, Record, missed, verdicts

SETTINGS = {"seconds": 16.0, "seed": 1, "size": [320, 240], "model": "lite", "provider": "cpu"}


def call(**changes: object) -> dict[str, Any]:
    return {
        "pictures": 400,
        "freezeCount": 0,
        "totalFreezesDuration": 0.0,
        "freezeCountInSpeech": 0,
        "skewP95Ms": 20.0,
        "skewPictures": 200,
        "skewMedianMs": 3.0,
        "pictureDelayMs": 120.0,
        "pictureBackMs": [],
        "missingShare": 0.02,
        "missingShareLead": 0.004,
        "soundDelayMs": 110.0,
        "soundDelayExtraMs": 5.0,
        "linkLostAudio": 0.05,
        "linkLostVideo": 0.05,
        "offeredKbps": 600.0,
        "busyCores": 1.2,
        "ownCores": 1.1,
        **changes,
    }


def record(cell: Cell | None = None, plain: dict[str, Any] | None = None, **lipline: Any) -> Record:
    cell = cell or Cell(loss=5)
    node: dict[str, Any] = {
        "skewSynthP95Ms": None,
        "framesSynth": 0,
        "concealedShare": 0.03,
        "timeToSynthMs": [],
        "timeToReturnMs": [],
        "synthKbps": None,
    }
    return {
        "run": 0,
        "cell": asdict(cell),
        "speech": cell.speech,
        "seconds": 16.0,
        "lipline": call(**{**node, **lipline}),
        "plain": plain or call(freezeCount=4, totalFreezesDuration=2.5, missingShare=0.24, soundDelayExtraMs=200.0),
    }


# --- verdicts --------------------------------------------------------------------------------------------------------


def test_each_target_is_missed_by_its_own_figure_alone() -> None:
    assert missed(record()) == []
    assert missed(record(freezeCount=1)) == ["freezes"]
    assert missed(record(concealedShare=0.061)) == ["concealed"]
    assert missed(record(missingShare=0.07)) == ["missing"]
    assert missed(record(soundDelayExtraMs=41.0)) == ["delay"]
    assert missed(record(skewP95Ms=41.0)) == ["skew"]
    assert missed(record(framesSynth=100, skewSynthP95Ms=50.0)) == ["skew synth"]
    assert missed(record(synthKbps=50.1)) == ["wire"]
    assert missed(record(synthKbps=50.0, missingShare=0.06)) == []


def test_what_should_have_been_measured_and_was_not_is_missed() -> None:
    assert missed(record(concealedShare=None, soundDelayExtraMs=None)) == ["concealed", "delay"]


def test_a_target_is_judged_only_where_it_means_something() -> None:
    lossy = verdicts(record(Cell(loss=20), concealedShare=0.3, missingShare=0.3))
    assert (lossy["concealed"], lossy["missing"]) == (None, None)
    narrow = verdicts(record(Cell(rate=40), concealedShare=0.5))
    assert narrow["concealed"] is None
    jittery = verdicts(record(Cell(jitter=80), soundDelayExtraMs=60.0))
    assert jittery["delay"] is None
    few = verdicts(record(skewPictures=3, skewP95Ms=90.0))
    assert few["skew"] is None
    assert verdicts(record())["wire"] is None


def test_only_freezes_in_speech_count_between_outages_and_none_where_no_speech_arrives() -> None:
    frozen: dict[str, Any] = {"freezeCount": 3, "totalFreezesDuration": 9.0}
    assert verdicts(record(Cell(outage=10.0), **frozen))["freezes"] is True
    assert verdicts(record(Cell(outage=10.0), **frozen, freezeCountInSpeech=1))["freezes"] is False
    assert verdicts(record(Cell(rate=0), **frozen, freezeCountInSpeech=1))["freezes"] is None
    assert verdicts(record(Cell(rate=40), **frozen))["freezes"] is False


def test_the_plain_call_is_judged_by_what_the_viewer_had_alone() -> None:
    found = verdicts(record(), "plain")
    assert {key for key, met in found.items() if met is False} == {"freezes", "missing", "delay"}
    assert (found["concealed"], found["wire"], found["skew"]) == (None, None, True)


# --- the file of cells -----------------------------------------------------------------------------------------------


def test_a_stopped_run_goes_on_and_tries_again_what_broke(tmp_path: Path) -> None:
    path = tmp_path / "cells.json"
    store = Store.resume(path, SETTINGS)
    store.begin({"date": "one"})
    store.put("a", record())
    store.put("b", {"cell": asdict(Cell()), "speech": "yes", "error": "it broke"})
    again = Store.resume(path, SETTINGS)
    again.begin({"date": "two"})
    again.put("c", record())
    last = Store.resume(path, SETTINGS)
    assert [last.has(name) for name in "abcd"] == [True, False, True, False]
    assert [last.cells[name]["run"] for name in "abc"] == [0, 0, 1]
    assert [run["date"] for run in last.runs] == ["one", "two"]
    assert not list(tmp_path.glob("*.part"))


def test_cells_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "cells.json"
    store = Store(path, SETTINGS)
    store.begin({})
    store.put("a", record())
    with pytest.raises(StoreError, match="use another --out"):
        Store.resume(path, {**SETTINGS, "seed": 2})
    path.write_text("{not json")
    with pytest.raises(StoreError, match="no file of cells"):
        Store.resume(path, SETTINGS)


# --- the table -------------------------------------------------------------------------------------------------------


def stored(*records: Record) -> Store:
    store = Store(Path("unused"), SETTINGS)
    store.begin({"command": "python -m benchmarks.wire.matrix", "hardware": "a machine", "commit": "abc"})
    store.cells = {str(number): one for number, one in enumerate(records)}
    return store


def rows(text: str, heading: str) -> list[list[str]]:
    part = text.split(f"## {heading}\n\n")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines()]


def test_the_table_says_what_was_missed_and_where() -> None:
    good, bad = record(), record(Cell(loss=5, jitter=30), missingShare=0.1, freezeCount=2, totalFreezesDuration=1.25)
    text = report(stored(good, bad), ["0", "1"])
    summary = {row[0]: row[1:] for row in rows(text, "Targets")}
    freezes = summary[TARGETS[0].words]
    assert freezes == ["MISSED, 1 of 2 cells", "5 %, jitter 30", "MISSED, 0 of 2 cells"]
    assert summary[TARGETS[1].words] == ["met, 2 of 2 cells", "", "–"]
    pictures, sound = rows(text, "Pictures"), rows(text, "Sound and wire")
    assert len({len(row) for row in pictures}) == len({len(row) for row in sound}) == 1
    assert pictures[2][:6] == ["5", "0", "2000", "–", "yes", "0 (0.0 s)"]
    assert pictures[3][5] == "**2 (1.2 s)**"
    assert sound[3][5:8] == ["3.0", "**10.0**", "24.0"]
    for fact in ("a machine", "abc", "seed 1", "1.10 to 1.10 cores", "turned bad: 0.4 % at most"):
        assert fact in text


def test_the_table_marks_cells_without_speech_disturbed_and_broken_ones() -> None:
    shut = record(Cell(rate=0), freezeCount=1, totalFreezesDuration=8.0, pictureBackMs=[None], busyCores=1.9)
    broken: Record = {"run": 0, "cell": asdict(Cell(loss=1)), "speech": "yes", "error": "it broke\nlong log"}
    blind = record(plain=call(pictures=0))
    text = report(stored(shut, broken, blind), ["0", "1", "2"])
    pictures = rows(text, "Pictures")
    assert pictures[2][4:6] == ["no †", "1 (8.0 s, 0 in speech)"]
    assert pictures[2][12] == "never"
    assert pictures[3][5] == "broke" and "1 %: it broke" in text and "long log" not in text
    assert pictures[4][6] == "no picture"
    assert "disturbed by other programs (more than 0.3 cores): 0 kbit/s" in text


# --- the command -----------------------------------------------------------------------------------------------------


class FakeBench:
    """Stand in for the calls; stops or breaks at the cells named in `stops` and `breaks`."""

    stops: tuple[str, ...] = ()
    breaks: tuple[str, ...] = ()
    measured: list[str] = []

    def __init__(self, seconds: float, size: object, setting: object, work: Path) -> None:
        self.seconds = seconds

    def plan(self, cell: Cell) -> object:
        return schedule(cell, self.seconds)

    def measure(self, cell: Cell, say: object) -> Record:
        if cell.name in self.stops:
            raise KeyboardInterrupt
        type(self).measured.append(cell.name)
        found = record(cell)
        del found["run"]
        return {**found, "error": "it broke"} if cell.name in self.breaks else found


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> type[FakeBench]:
    class Fresh(FakeBench):
        measured: list[str] = []

    monkeypatch.setattr(matrix, "CellBench", Fresh)
    monkeypatch.setattr(matrix, "machine", lambda program, given: {"command": " ".join([program, *given])})
    return Fresh


def test_a_stopped_command_keeps_its_cells_and_resumes(tmp_path: Path, bench: type[FakeBench]) -> None:
    arguments = ["--out", str(tmp_path), "--cells", "loss5-jitter0-rate2000,*rate300", "--seconds", "12"]
    bench.stops = ("loss0-jitter0-rate300",)
    assert matrix.main(arguments) == 130
    assert bench.measured == ["loss5-jitter0-rate2000"]
    assert "5" in (tmp_path / "matrix.md").read_text()
    bench.stops = ()
    doc = tmp_path / "docs" / "matrix.md"
    assert matrix.main([*arguments, "--resume", "--doc", str(doc)]) == 0
    assert bench.measured == ["loss5-jitter0-rate2000", "loss0-jitter0-rate300", "loss5-jitter0-rate300"]
    assert set(json.loads((tmp_path / "cells.json").read_text())["cells"]) == set(bench.measured)
    assert doc.read_text() == (tmp_path / "matrix.md").read_text()
    assert len(rows(doc.read_text(), "Pictures")) == 2 + 3
    assert matrix.main([*arguments, "--resume"]) == 0
    assert len(bench.measured) == 3


def test_what_other_programs_disturbed_is_measured_again_when_asked(tmp_path: Path, bench: type[FakeBench]) -> None:
    arguments = ["--out", str(tmp_path), "--cells", "*rate300"]
    assert matrix.main(arguments) == 0
    path = tmp_path / "cells.json"
    document = json.loads(path.read_text())
    document["cells"]["loss5-jitter0-rate300"]["plain"]["busyCores"] = 2.0
    path.write_text(json.dumps(document))
    assert matrix.main([*arguments, "--resume"]) == 0
    assert len(bench.measured) == 2
    assert matrix.main([*arguments, "--resume", "--redo"]) == 0
    assert bench.measured[2:] == ["loss5-jitter0-rate300"]


def test_a_new_command_begins_again(tmp_path: Path, bench: type[FakeBench]) -> None:
    arguments = ["--out", str(tmp_path), "--cells", "loss5-jitter0-rate2000"]
    assert [matrix.main(arguments), matrix.main(arguments)] == [0, 0]
    assert len(bench.measured) == 2


def test_a_broken_cell_is_told_and_does_not_end_the_matrix(
    tmp_path: Path, bench: type[FakeBench], capsys: pytest.CaptureFixture[str]
) -> None:
    bench.breaks = ("loss0-jitter0-rate300",)
    assert matrix.main(["--out", str(tmp_path), "--cells", "*rate300"]) == 1
    assert len(bench.measured) == 2
    assert "it broke" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [(["--cells", "loss7-*"], "no cell is called"), (["--seconds", "5"], "too short")],
)
def test_a_wrong_command_is_refused(
    arguments: list[str], why: str, tmp_path: Path, bench: type[FakeBench], capsys: pytest.CaptureFixture[str]
) -> None:
    assert matrix.main(["--out", str(tmp_path), *arguments]) == 2
    assert why in capsys.readouterr().err
    with pytest.raises(SystemExit):
        matrix.main(["--size", "321x240"])


def test_settings_that_differ_are_refused_on_resume(
    tmp_path: Path, bench: type[FakeBench], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--out", str(tmp_path), "--cells", "loss5-jitter0-rate2000", "--resume"]
    assert matrix.main(arguments) == 0
    assert matrix.main([*arguments, "--seed", "3"]) == 2
    assert "made with" in capsys.readouterr().err


def test_time_left_counts_both_calls() -> None:
    assert matrix.time_left([16.0] * 10, 8.0) == "about 8 min left"
    assert matrix.time_left([16.0], 4.0) == "less than a minute left"
