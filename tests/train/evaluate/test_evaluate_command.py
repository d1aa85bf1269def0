"""`lipline evaluate` from shards to report, and what it says when it cannot."""

import json
import re
from pathlib import Path

import pytest
from face_curves import write_recording
from tiny_generators import write_slicer

from client.main import build_parser
from train.data.clips import Split
from train.data.shards import Sample, ShardError, ShardWriter
from train.evaluate.corpus import Corpus


def evaluate(*words: object) -> int:
    parser = build_parser("evaluate")
    args = parser.parse_args(["evaluate", *map(str, words)])
    code: int = args.run(args)
    return code


@pytest.fixture(scope="module")
def shards(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    with ShardWriter(folder, "talk") as writer:
        for sample in samples:
            writer.write(sample)
    return folder


@pytest.fixture(scope="module")
def copier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a generator that draws the reference it is given: a face that does not speak."""
    return write_slicer(tmp_path_factory.mktemp("models") / "copier.onnx")


def test_a_report_is_written_that_stands_alone(
    shards: Path, copier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    assert evaluate(copier, shards, "--role", "all", "--limit", 1, "--jobs", 1, "--out", out) == 0
    said = capsys.readouterr()
    assert "copier on 1 clip of 1 speaker" in said.out
    assert all(row in said.out for row in ("real video", "frozen face", "loudness alone", "copier, other speech"))
    assert "1 of 1 clips" in said.err
    report = json.loads((out / "report.json").read_text())
    rows = report["rows"]
    assert rows["real video"]["r"]["value"] > 0.9
    assert rows["frozen face"]["r"]["value"] is None
    assert rows["copier"]["r"]["value"] < 0.9, "it heard nothing"
    assert report["clips"][0]["pose"] != report["clips"][0]["speech"]
    assert len(report["clips"][0]["opening"]["copier"]) == len(report["clips"][0]["real"])
    (folder,) = report["folders"].values()
    assert (folder["clips"], folder["people"]) == (1, 1)
    assert set(folder["rows"]) == {"copier", "loudness alone", "copier, other speech"}
    assert report["rows"]["copier"]["cut_late"]["value"] >= report["rows"]["copier"]["cut"]["value"]
    assert report["curves"] == {}
    html = (out / "index.html").read_text()
    assert not re.search(r'(src|href)="(?!data:)', html), "the page must need nothing but itself"
    assert html.count("<video") == 1
    assert html.count("data:image/jpeg") == 5
    for text in (html, (out / "report.json").read_text()):
        assert str(shards.parent) not in text, "folders tell who you are"


def test_speech_with_curves_of_a_face_is_measured_beside(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for seed, name in enumerate(("anna", "ben")):
        write_recording(folder, name, frames=90, seed=seed)
    out = tmp_path / "report"
    words = ("lite", shards, "--role", "all", "--limit", 1, "--jobs", 1, "--out", out)
    assert evaluate(*words, "--curves", folder, "--curve", 1, "--held-out", "ben") == 0
    assert "planned lips against the curve of a face" in capsys.readouterr().out
    curves = json.loads((out / "report.json").read_text())["curves"]
    assert set(curves) == {"lite", "lite, layer of its own", "loudness alone"}
    assert list(curves["lite"]["recordings"]) == ["ben"]
    assert curves["loudness alone"]["r"] > 0.8, "the sound was made as loud as the curve is high"
    assert "Speech with curves of a face" in (out / "index.html").read_text()


@pytest.mark.parametrize(
    ("model", "held", "complaint"),
    [("copier", "anna", "plans lips"), ("lite", "cleo", "holds no cleo: check --curves and --held-out")],
)
def test_curves_that_cannot_be_measured_are_refused(
    model: str, held: str, complaint: str, shards: Path, copier: Path, tmp_path: Path
) -> None:
    write_recording(tmp_path, "anna")
    words = (copier if model == "copier" else model, shards, "--role", "all", "--out", tmp_path / "out")
    with pytest.raises(ValueError, match=complaint):
        evaluate(*words, "--curves", tmp_path, "--held-out", held)


def test_lists_are_drawn_kept_and_checked(shards: Path, copier: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    assert evaluate(copier, shards, "--role", "all", "--draw", file) == 0
    pairs = json.loads(file.read_text())["pairs"]
    assert sorted(pair["speech"] for pair in pairs) == ["caller-0", "caller-1"]
    one = json.loads(file.read_text())
    one["keys_sha256"] = "0" * 64
    file.write_text(json.dumps(one))
    with pytest.raises(ValueError, match="drawn for other data"):
        evaluate(copier, shards, "--role", "all", "--pairs", file, "--out", tmp_path / "out")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "--out DIR"),
        (("--limit", 0, "--out", "x"), "--limit is at least 1"),
        (("--curve", -1, "--out", "x"), "--curve is 0 or more"),
        (("--away", 9, "--out", "x"), "--away is at most 8"),
        (("--speakers", "nobody", "--role", "all", "--out", "x"), "no clips of nobody"),
        (("--split", "speaker", "--out", "x"), "--role all"),
        (("--role", "all", "--expert", "missing.onnx", "--out", "x"), "no expert missing.onnx"),
    ],
)
def test_what_cannot_be_is_refused_with_the_remedy(
    words: tuple[object, ...], complaint: str, shards: Path, copier: Path
) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        evaluate(copier, shards, *words)


def test_a_model_that_is_none_is_named(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no model file .*gone\.onnx"):
        evaluate(tmp_path / "gone.onnx", shards, "--role", "all", "--out", tmp_path / "out")


def test_clips_are_read_where_they_lie(shards: Path, samples: list[Sample]) -> None:
    from train.evaluate.pairs import Pair

    corpus = Corpus([shards], "all", Split("clip"))
    assert corpus.clips == [("caller-0", "caller"), ("caller-1", "caller")]
    scene = corpus.scene(Pair("caller-1", "caller-0", "caller-0"))
    assert (scene.speech.samples == samples[1].speech).all()
    assert (scene.pose.landmarks == samples[0].landmarks).all()


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(ShardError, match=r"bad\.tar cannot be read"):
        Corpus([tmp_path], "all", Split("clip"))
