"""One call of a cell in the rig, and what the machine did meanwhile."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import CpuTimes, cpu_times, cpu_used
from benchmarks.wire.plan import Schedule
from client.rig.call import TAIL_MS, CallPlan, CallResult, RigCall

SETTLE_MS = 1500.0
"""Time that the call goes on after its end, so that what was said before arrives."""


@dataclass(frozen=True, slots=True)
class CellSetting:
    """What is the same in every call of a matrix.

    Attributes:
        seed: seed of the link's losses and jitter.
        model: bundled name or ONNX file.
        provider: "cpu" or "cuda".
    """

    seed: int
    model: str
    provider: str


@dataclass(frozen=True, slots=True)
class CellCall:
    """What a call showed.

    Attributes:
        result: what its processes found.
        busy: cores that were busy during the call with whatever it was; None where that is not known.
        own: cores that its three processes used; None where that is not known.
    """

    result: CallResult
    busy: float | None
    own: float | None


async def run_call(schedule: Schedule, setting: CellSetting, clip: Path, *, filtered: bool, work: Path) -> CellCall:
    """Run the call; files and logs of its processes go to `work`.

    Raises:
        RuntimeError: a process ended early or was silent; holds the end of its log.
    """
    lasts_s = schedule.seconds + SETTLE_MS / 1000.0
    plan = CallPlan(
        name="lipline" if filtered else "plain",
        filtered=filtered,
        clip=clip,
        trace=schedule.trace,
        seed=setting.seed,
        seconds=lasts_s - TAIL_MS / 1000.0,
        model=setting.model,
        provider=setting.provider,
        work=work,
        logs=work,
        keep="measured",
    )
    async with RigCall(plan) as call:
        pids = [peer.pid for peer in call.peers]
        before, own = cpu_times(), [cpu_used(pid) for pid in pids]
        await call.run()
        busy = CpuTimes.busy(before, cpu_times())
        used = CpuTimes.used(own, [cpu_used(pid) for pid in pids], lasts_s)
        return CellCall(await call.finish(), busy, used)
