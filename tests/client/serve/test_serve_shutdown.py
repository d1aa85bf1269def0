"""`lipline serve` ends cleanly when it is told to, in mid-call too."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Shells start the background jobs of a script, `lipline serve ... &`, in this way.
IN_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")


def start(*arguments: str, by: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    command = [*by, sys.executable, "-u", "-m", "client.main", *arguments]
    root = Path(__file__).resolve().parents[3]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=root)


def wait_for(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"the process ended without saying {text!r}")


@pytest.mark.parametrize(("how", "by"), [(signal.SIGTERM, ()), (signal.SIGINT, ()), (signal.SIGTERM, IN_BACKGROUND)])
def test_a_signal_in_mid_call_ends_it_without_a_trace(
    how: signal.Signals, by: tuple[str, ...], caller_clip: Path
) -> None:
    serve = start("serve", "--port", "0", "--token", "tok", "--no-filter", by=by)
    call = None
    try:
        url = wait_for(serve, "join with").split()[4]
        call = start("call", url, "--token", "tok", "--clip", str(caller_clip), "--seconds", "600")
        wait_for(call, "In the call")
        serve.send_signal(how)
        rest, _ = serve.communicate(timeout=180)
        assert serve.returncode == 130
        assert "Traceback" not in rest and "stopped" in rest
        told, _ = call.communicate(timeout=180)
        assert call.returncode == 2
        assert "join again when it is back" in told and "Traceback" not in told
    finally:
        for process in (serve, call):
            if process is not None:
                process.kill()
                process.communicate()
