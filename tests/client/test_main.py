import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from client import main
from client.doctor import command as doctor
from client.doctor.checks import _satisfies
from client.errors import UsageError


def test_help_teaches_and_loads_nothing_heavy() -> None:
    program = (
        "import sys, client.main\n"
        "try: client.main.main(['--help'])\n"
        "except SystemExit as error: assert error.code == 0\n"
        "heavy = {'numpy', 'cv2', 'av', 'aiortc', 'torch', 'mediapipe', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for command in main.COMMANDS:
        assert command in found.stdout
    assert "lipline demo --clip" in found.stdout


@pytest.mark.parametrize("command", list(main.COMMANDS))
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main.main([command, "--help"])
    assert stopped.value.code == 0
    assert f"lipline {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UsageError("no such clip:\nuse another"), 2, "lipline: error: no such clip: use another\n"),
        (ModuleNotFoundError("no torch", name="torch.nn"), 2, "pip install 'lipline[train]'"),
        (ValueError("odd"), 2, "odd (LIPLINE_DEBUG=1 shows where)"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_errors_become_one_line(
    error: BaseException, code: int, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_options: object) -> int:
        raise error

    monkeypatch.setattr(doctor, "run", fail)
    assert main.main(["doctor"]) == code
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["demo", "--trace", "nowhere.json"], "no link trace"),
        (["demo", "--seconds", "500"], "--seconds 3 to 110"),
        (["call", "ws://x", "--token", "t"], "add --clip FILE"),
        (["call", "ws://127.0.0.1:9", "--token", "t", "--view", "x.avi"], ".mp4"),
        (["serve", "--port", "99999"], "no port 99999"),
        (["serve", "--port", "0", "--model", "nobody"], "no bundled model 'nobody'"),
    ],
)
def test_wrong_use_names_the_remedy(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(arguments) == 2
    assert text in capsys.readouterr().err


def test_a_server_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["call", "ws://127.0.0.1:9", "--token", "t", "--view", str(tmp_path / "x.mp4")]) == 2
    assert "start it with `lipline serve`" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_doctor_reports_a_broken_check_as_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[tuple[str, bool, str, str]]:
        raise RuntimeError("half installed")
        yield

    def fine() -> Iterator[tuple[str, bool, str, str]]:
        yield "thing", True, "there", "install it"
        yield "other", False, "missing", "apt install other"

    monkeypatch.setattr(doctor, "REQUIRED", (fine, broken))
    monkeypatch.setattr(doctor, "OPTIONAL", (fine,))
    diagnosis = doctor.diagnose()
    assert not diagnosis.can_call
    assert [finding.level.value for finding in diagnosis.findings] == ["ok", "broken", "broken", "ok", "optional"]
    assert "half installed" in diagnosis.findings[2].detail
    told = doctor.render(diagnosis)
    assert "-> apt install other" in told and "install it" not in told
    assert json.loads(diagnosis.as_json())["can_call"] is False


@pytest.mark.parametrize(
    ("found", "wanted", "fine"),
    [
        ("1.16.0", "==1.16.0", True),
        ("18.1.0", ">=18,<19", True),
        ("19.0", ">=18,<19", False),
        ("4.11.0.86", ">=4.10,<4.12", True),
        ("1.26.4", ">=1.26,<2", True),
        ("2.13.0+cpu", "==2.13.0", True),
        ("0.4", "", True),
    ],
)
def test_versions_are_compared_as_releases(found: str, wanted: str, fine: bool) -> None:
    assert _satisfies(found, wanted) is fine
