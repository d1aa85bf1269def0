"""Where a call of the demonstration stands, in one line."""

from typing import Any, Final

from client.errors import UsageError
from client.rig.call import CallPlan, CallResult, RigCall
from realtime.statusline import StatusLine

_LOG_MS: Final = 2000.0  # time between two lines of a log


class CallProgress:
    """Show where the call of `plan` stands: give `on_event` its processes' events and `on_tick` the time in ms."""

    def __init__(self, plan: CallPlan, line: StatusLine) -> None:
        self._plan = plan
        self._line = line
        self._state = "real"
        self.pictures = 0
        """Pictures that the viewer has received."""

    def on_event(self, event: dict[str, Any]) -> None:
        """Note the node's state or the count of pictures, when the event tells one."""
        if event["event"] == "state":
            self._state = str(event["state"])
        elif event["event"] == "pictures":
            self.pictures = int(event["count"])

    def on_tick(self, elapsed_ms: float) -> None:
        """Show the line for this time of the call."""
        rate = self._plan.trace.at(elapsed_ms).rate_kbps
        text = (
            f"  {self._plan.name:<14} {elapsed_ms / 1000:4.1f} of {self._plan.seconds:.0f} s   "
            f"link {rate:6.0f} kbit/s   node: {self._state:<9}   viewer has {self.pictures} pictures"
        )
        self._line.show(text, (self._plan.name, elapsed_ms // _LOG_MS))


async def run_call(plan: CallPlan, line: StatusLine) -> CallResult:
    """Run the call that `plan` describes; `line` shows its progress twice a second.

    Raises:
        UsageError: a process failed; holds its reason and the end of its log.
    """
    progress = CallProgress(plan, line)
    line.show(f"  {plan.name:<14} starting node, caller and viewer", plan.name)
    try:
        async with RigCall(plan, progress.on_event) as call:
            await call.run(progress.on_tick)
            result = await call.finish()
    except RuntimeError as error:
        raise UsageError(f"the {plan.name} call broke: {error}") from error
    line.say(f"  {plan.name:<14} over: the viewer received {progress.pictures} pictures")
    return result
