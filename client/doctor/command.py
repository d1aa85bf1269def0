"""`lipline doctor`: what this machine can do, what is missing, and the command that sets it up."""

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from enum import Enum

from client.doctor import checks, device_checks


class Level(Enum):
    """The weight of a finding: fine, something optional is missing, or no call can run."""

    OK = "ok"
    OPTIONAL = "optional"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report; `remedy` is a command or an instruction, empty when nothing is wrong."""

    name: str
    level: Level
    detail: str
    remedy: str = ""


@dataclass(slots=True)
class Diagnosis:
    """All findings; a call can run when none is BROKEN."""

    findings: list[Finding] = field(default_factory=list)

    @property
    def can_call(self) -> bool:
        """Whether a call can run on this machine."""
        return all(finding.level is not Level.BROKEN for finding in self.findings)

    def as_json(self) -> str:
        """Return the report as JSON text."""
        rows = [asdict(finding) | {"level": finding.level.value} for finding in self.findings]
        system = {"python": platform.python_version(), "system": platform.platform(), "machine": platform.machine()}
        return json.dumps({"can_call": self.can_call, "system": system, "findings": rows}, indent=2)


Check = Callable[[], Iterator[tuple[str, bool, str, str]]]

REQUIRED: tuple[Check, ...] = (
    checks.python_version,
    checks.packages,
    checks.inference,
    checks.face_mesh,
    checks.encoders,
    checks.sockets,
)
OPTIONAL: tuple[Check, ...] = (
    checks.default_port,
    checks.speech_codec,
    checks.torch,
    device_checks.cameras,
    device_checks.our_camera,
    device_checks.sound,
    checks.programs,
)


def diagnose() -> Diagnosis:
    """Run every check; one that fails in an unforeseen way is a finding, never a crash."""
    diagnosis = Diagnosis()
    for level, group in ((Level.BROKEN, REQUIRED), (Level.OPTIONAL, OPTIONAL)):
        for check in group:
            try:
                for name, fine, detail, remedy in check():
                    diagnosis.findings.append(
                        Finding(name, Level.OK if fine else level, detail, "" if fine else remedy)
                    )
            except Exception as error:  # whatever a broken install throws, the person must see the other findings too
                text = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
                diagnosis.findings.append(Finding(check.__name__.replace("_", " "), level, text, "make setup"))
    return diagnosis


def render(diagnosis: Diagnosis) -> str:
    """Return the report for a terminal."""
    marks = {Level.OK: "ok  ", Level.OPTIONAL: "--  ", Level.BROKEN: "FAIL"}
    width = max(len(finding.name) for finding in diagnosis.findings)
    lines = []
    for finding in diagnosis.findings:
        lines.append(f"{marks[finding.level]}  {finding.name:<{width}}  {finding.detail}")
        if finding.remedy:
            lines.append(f"      {'':<{width}}  -> {finding.remedy}")
    verdict = (
        "A call can run here." if diagnosis.can_call else "No call can run here until the lines marked FAIL are mended."
    )
    return "\n".join([*lines, "", verdict])


DESCRIPTION = """\
Check versions, inference, face tracking, encoders, devices and ports by using them.
Exit code 0 when a call can run, 1 when not."""

EXAMPLES = """\
examples:
  lipline doctor
  lipline doctor --json > report.json     to send along with a question"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lipline doctor`."""
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the diagnosis; return 0 when a call can run, else 1."""
    diagnosis = diagnose()
    sys.stdout.write((diagnosis.as_json() if options.json else render(diagnosis)) + "\n")
    return 0 if diagnosis.can_call else 1
