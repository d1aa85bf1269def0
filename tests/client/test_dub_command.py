import argparse
from pathlib import Path

import pytest

from client import dub
from client.errors import UsageError
from client.main import build_parser
from realtime.statusline import StatusLine


def parse(*words: str | Path) -> argparse.Namespace:
    parser = build_parser("dub")
    return parser.parse_args(["dub", *map(str, words)])


def test_arguments_and_their_defaults(tmp_path: Path) -> None:
    args = parse("v.mp4", "s.wav", "o.mp4")
    assert args.run is dub.run and args.model == "lite" and not args.force


def test_paths_that_cannot_work_are_refused_with_a_remedy(tmp_path: Path) -> None:
    video, speech = tmp_path / "v.mp4", tmp_path / "s.wav"
    with pytest.raises(UsageError, match=r"no file .*v\.mp4: check"):
        dub.run(parse(video, speech, tmp_path / "o.mp4"))
    video.write_bytes(b"x")
    speech.write_bytes(b"x")
    with pytest.raises(UsageError, match=r"does not end in \.mp4: name the output like o\.mp4"):
        dub.run(parse(video, speech, tmp_path / "o.avi"))
    with pytest.raises(UsageError, match="make it first"):
        dub.run(parse(video, speech, tmp_path / "none" / "o.mp4"))
    existing = tmp_path / "o.mp4"
    existing.write_bytes(b"keep")
    with pytest.raises(UsageError, match="--force"):
        dub.run(parse(video, speech, existing))
    assert existing.read_bytes() == b"keep"


def test_a_model_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    video, speech = tmp_path / "v.mp4", tmp_path / "s.wav"
    video.write_bytes(b"x")
    speech.write_bytes(b"x")
    with pytest.raises(UsageError, match="no bundled model"):
        dub.run(parse(video, speech, tmp_path / "o.mp4", "--model", "nobody"))


def test_progress_without_a_terminal_is_a_line_per_quarter(capsys: pytest.CaptureFixture[str]) -> None:
    line = StatusLine(prefix="dub: ")
    for i in range(1, 101):
        dub.show_progress(line, 100.0 * i, 10_000.0)
    line.end()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4 and lines[-1] == "dub: 10.0 s of 10.0 s"


def test_progress_on_a_terminal_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    line = StatusLine()
    dub.show_progress(line, 5_000.0, 10_000.0)
    dub.show_progress(line, 10_000.0, 10_000.0)
    line.end()
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "[##############################] 10.0 s of 10.0 s" in err
