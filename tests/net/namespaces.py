"""Three machines in one: network namespaces of a caller, a node and a viewer, joined by veth and narrowed by tc.

    caller  net0 10.77.1.2 ──── 10.77.1.1 tocaller  node  toviewer 10.77.2.1 ──── 10.77.2.2 net0  viewer

There is no route from caller to viewer. Names hold the process id, so that runs beside each other do not meet.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

CALLER, NODE, VIEWER = "caller", "node", "viewer"
ETHERNET_BYTES = 14
QUEUE_MS = 300
"""What an uplink's queue holds before it drops; home routers hold as much and more."""


class NetError(RuntimeError):
    """Say which command of `ip` or `tc` failed, and why."""


def why_not() -> str | None:
    """Return why this machine cannot make the namespaces; None when it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "tc"):
        if shutil.which(tool) is None:
            return f"there is no `{tool}`: apt-get install iproute2"
    probe = f"lipline-{os.getpid()}-probe"
    try:
        run("ip", "netns", "add", probe)
        run("ip", "-n", probe, "link", "add", "name", "probe0", "type", "veth", "peer", "name", "probe1")
        run("tc", "-n", probe, "qdisc", "add", "dev", "probe0", "root", *_tbf(1000.0))
    except NetError as error:
        return f"this machine makes no network namespaces with veth and tbf: {error}"
    finally:
        subprocess.run(["ip", "netns", "del", probe], capture_output=True, check=False)
    return None


def run(*command: str) -> str:
    """Run a command and return its output.

    Raises:
        NetError: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise NetError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Traffic:
    """Hold what a link has carried since it was made: packets, and bytes with IP and UDP headers, Ethernet off."""

    packets: int
    bytes: int

    def kbps_since(self, before: "Traffic", seconds: float) -> float:
        """Return the mean rate since `before` in kbit/s."""
        return (self.bytes - before.bytes) * 8.0 / 1000.0 / seconds


class Namespaces:
    """Make the three namespaces, and take them away again whatever happened in between."""

    def __init__(self) -> None:
        self._made: list[str] = []

    def __enter__(self) -> Self:
        try:
            for place in (CALLER, NODE, VIEWER):
                run("ip", "netns", "add", self.name(place))
                self._made.append(place)
                # IPv4 alone: an address is usable at once, and the bytes of a packet are known.
                self.inside(place, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
                self.ip(place, "link", "set", "lo", "up")
            for number, place in enumerate((CALLER, VIEWER), 1):
                here, there = f"to{place}", self.name(place)
                self.ip(NODE, "link", "add", here, "type", "veth", "peer", "name", "net0", "netns", there)
                self.ip(NODE, "addr", "add", f"10.77.{number}.1/24", "dev", here)
                self.ip(place, "addr", "add", f"10.77.{number}.2/24", "dev", "net0")
                self.ip(NODE, "link", "set", here, "up")
                self.ip(place, "link", "set", "net0", "up")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the namespaces away; their links go with them. Processes inside must have ended."""
        while self._made:
            place = self._made.pop()
            subprocess.run(["ip", "netns", "del", self.name(place)], capture_output=True, check=False)

    @staticmethod
    def name(place: str) -> str:
        """Return the name of a namespace."""
        return f"lipline-{os.getpid()}-{place}"

    def address_of_node(self, place: str) -> str:
        """Return the node's address as seen from `place`."""
        return {CALLER: "10.77.1.1", VIEWER: "10.77.2.1", NODE: "127.0.0.1"}[place]

    def command(self, place: str, *command: str) -> list[str]:
        """Return `command` as it is run inside; `ip` replaces itself by it, so the process is the command's own."""
        return ["ip", "netns", "exec", self.name(place), *command]

    def inside(self, place: str, *command: str) -> str:
        """Run a short command inside."""
        return run(*self.command(place, *command))

    def ip(self, place: str, *words: str) -> str:
        """Run `ip` for a namespace."""
        return run("ip", "-n", self.name(place), *words)

    # --- the uplink --------------------------------------------------------------------------------------------------

    def uplink(self, kbps: float, place: str = CALLER) -> None:
        """Narrow what `place` sends to `kbps`, from now on; the queue is a token bucket's and drops at its tail."""
        words = ("dev", "net0", "root", *_tbf(kbps))
        run("tc", "-n", self.name(place), "qdisc", "replace", *words)

    def link(self, up: bool, place: str = CALLER) -> None:
        """Take the network away from `place`, or give it back: addresses stay, routes go and come with the link."""
        self.ip(place, "link", "set", "net0", "up" if up else "down")

    def move(self, place: str, old: str, new: str) -> None:
        """Give `place` another address (without /24), as when it changes from one network to the next."""
        self.ip(place, "addr", "add", f"{new}/24", "dev", "net0")
        self.ip(place, "addr", "del", f"{old}/24", "dev", "net0")
        # Without the first address the kernel drops those that came after it in the same net.
        shown = self.ip(place, "-4", "addr", "show", "dev", "net0")
        if new not in shown:
            self.ip(place, "addr", "add", f"{new}/24", "dev", "net0")

    def sent(self, place: str = CALLER) -> Traffic:
        """Return what `place` has put on the wire (behind its queue)."""
        shown: list[dict[str, Any]] = json.loads(self.ip(place, "-s", "-j", "link", "show", "dev", "net0"))
        counted = shown[0]["stats64"]["tx"]
        return Traffic(counted["packets"], counted["bytes"] - ETHERNET_BYTES * counted["packets"])


def _tbf(kbps: float) -> tuple[str, ...]:
    # The bucket must hold a whole packet, else none of that size ever leaves.
    return "tbf", "rate", f"{round(kbps * 1000)}bit", "burst", "3200", "latency", f"{QUEUE_MS}ms"
