"""Speech through netem: loss, jitter, reordering and duplicates of a real kernel, which the usual one here lacks.

    .venv/bin/python -m pytest -q -s -m vm tests/net

What runs where. The guest (tests/vm/vmrun.sh) is Debian's kernel in qemu without hardware help. Seen there, for
each 20 ms of speech: 13 ms to encode it (host: 0.3), 14 to 20 ms for a `CallPath` without a picture (host: 0.4); aiortc
takes 35 s to import and two of its connections in one process had not met 90 s later (host: 0.06 s). No call runs there
in real time, not even one of sound alone. So the guest does what only it can: real UDP packets with real Opus speech,
one each 20 ms, from one namespace through netem to another, each stamped by the kernel on arrival. The host plays them,
in that order and at these times, into the node's own `CallPath`. A packet's delay counts from when it really left: a
guest that is late to send is not the network's fault.
"""

import base64
import json
import os
import shutil
import statistics
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.alignment import MelWindow
from realtime.media import AudioBlock
from realtime.media_file import read_audio
from realtime.rtc.node.path import CallPath
from realtime.rtc.send.opus import OpusDecoder, OpusEncoder

pytestmark = pytest.mark.vm

ROOT = Path(__file__).resolve().parents[2]
VMRUN = ROOT / "tests" / "vm" / "vmrun.sh"
BLOCK = 960
LOSSY_S, BURST_S, END_S = 30.0, 34.0, 50.0
SCRIPT = [
    [0.0, "delay 30ms 10ms loss 5% reorder 2% duplicate 1%"],
    [LOSSY_S, "delay 30ms 10ms"],
    [BURST_S, "delay 330ms 10ms"],
    [BURST_S + 1.0, "delay 30ms 10ms"],
]


class _Clock:
    def __init__(self) -> None:
        self.ms = 0.0

    def now_ms(self) -> float:
        return self.ms

    async def sleep_until(self, deadline_ms: float) -> None:
        raise AssertionError("the test moves the time")


@dataclass(frozen=True, slots=True)
class Packet:
    """Hold a packet that arrived: times in ms since the stream began, `late_ms` how late the guest was to send it."""

    sequence: int
    timestamp: int
    arrival_ms: float
    delay_ms: float
    late_ms: float


@dataclass(frozen=True, slots=True)
class Stream:
    """Hold what was sent and what came of it."""

    payloads: list[bytes]
    packets: list[Packet]


@pytest.fixture(scope="module")
def stream(caller_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Stream:
    if os.geteuid() != 0:
        pytest.skip("the guest is given this machine's files, and needs root for that")
    for tool, package in (("qemu-system-x86_64", "qemu-system-x86"), ("apt-get", "apt"), ("tc", "iproute2")):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool}: apt-get install --no-install-recommends {package}")
    folder = tmp_path_factory.mktemp("guest")
    payloads = _speech(caller_clip)
    (folder / "speech.json").write_text(json.dumps([base64.b64encode(payload).decode() for payload in payloads]))
    (folder / "script.json").write_text(json.dumps(SCRIPT))
    environment = {**os.environ, "VM_OUT": str(folder), "VM_TIMEOUT": "900"}
    command = f"modprobe sch_netem; modprobe veth; {sys.executable} {ROOT}/tests/net/guest_stream.py $OUT"
    done = subprocess.run(
        ["nice", "-n", "15", str(VMRUN), command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, f"the guest ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return Stream(payloads, _packets(payloads, json.loads((folder / "arrived.json").read_text())))


def _speech(clip: Path) -> list[bytes]:
    samples = (read_audio(clip, 48_000) * 32767.0).astype(np.int16)
    encoder = OpusEncoder(24_000)
    blocks = [samples[at : at + BLOCK] for at in range(0, len(samples) - BLOCK, BLOCK)]
    return [encoder.encode(blocks[index % len(blocks)]) for index in range(round(END_S * 50))]


def _packets(payloads: list[bytes], found: dict[str, Any]) -> list[Packet]:
    left = dict(found["sent"])
    zero_ns = left[0]
    packets = []
    for sequence, timestamp, crc, ns in found["arrived"]:
        assert crc == zlib.crc32(payloads[sequence]), "a packet came changed"
        delay_ms = (ns - left[sequence]) / 1e6
        late_ms = (left[sequence] - zero_ns) / 1e6 - sequence * 20.0
        packets.append(Packet(sequence, timestamp, sequence * 20.0 + delay_ms, delay_ms, late_ms))
    return sorted(packets, key=lambda packet: packet.arrival_ms)


@dataclass(frozen=True, slots=True)
class Played:
    """Hold the counters of a `CallPath` each 20 ms."""

    at_ms: list[float]
    counters: list[dict[str, Any]]

    def share(self, name: str, begin_s: float, end_s: float) -> float:
        """Return how much of the sound between two times `name` counts, 0..1."""
        rows = [row for at, row in zip(self.at_ms, self.counters, strict=True) if begin_s * 1e3 <= at < end_s * 1e3]
        played = rows[-1]["totalSamplesReceived"] - rows[0]["totalSamplesReceived"]
        return float((rows[-1][name] - rows[0][name]) / played)

    def delay_ms(self, begin_s: float, end_s: float) -> float:
        """Return the median playout delay between two times."""
        rows = zip(self.at_ms, self.counters, strict=True)
        return statistics.median(float(row["playoutDelayMs"]) for at, row in rows if begin_s * 1e3 <= at < end_s * 1e3)


def _play(stream: Stream) -> Played:
    clock = _Clock()
    blocks: list[AudioBlock] = []
    path = CallPath(
        clock, MelWindow.for_lookahead(80.0), None,
        on_block=blocks.append, on_frame=lambda frame: None, source_ms=lambda timestamp: timestamp / 48.0,
    )  # fmt: skip
    waiting, played = list(reversed(stream.packets)), Played([], [])
    while clock.ms < END_S * 1000.0:
        while waiting and waiting[-1].arrival_ms <= clock.ms:
            packet = waiting.pop()
            payload = stream.payloads[packet.sequence]
            path.audio_packet(packet.sequence, packet.timestamp, payload, packet.arrival_ms)
        path.play(clock.ms)
        played.at_ms.append(clock.ms)
        played.counters.append(path.snapshot())
        clock.ms += 20.0
    return played


def test_netem_did_what_it_was_told(stream: Stream) -> None:
    sent = round(LOSSY_S * 50)
    lossy = [packet for packet in stream.packets if packet.sequence < sent]
    lost = 1.0 - len({packet.sequence for packet in lossy}) / sent
    twice = len(lossy) / len({packet.sequence for packet in lossy}) - 1.0
    overtaken = sum(b.sequence < a.sequence for a, b in zip(lossy, lossy[1:], strict=False)) / len(lossy)
    delays = sorted(packet.delay_ms for packet in lossy)
    print(
        f"\n  netem: {lost:.1%} lost, {twice:.1%} twice, {overtaken:.1%} out of order, delay {delays[0]:.1f} / "
        f"{statistics.median(delays):.1f} / {delays[-1]:.1f} ms; the guest sent up to "
        f"{max(packet.late_ms for packet in stream.packets):.0f} ms late"
    )
    assert 0.03 < lost < 0.075
    assert twice > 0.0 and overtaken > 0.0
    assert 25.0 < statistics.median(delays) < 45.0


def test_at_5_percent_loss_little_speech_is_made_up(stream: Stream) -> None:
    if not OpusDecoder().has_fec:
        pytest.skip("there is no libopus to bring lost speech back: apt-get install libopus0")
    played = _play(stream)
    made_up = played.share("concealedSamples", 2.0, LOSSY_S)
    print(
        f"\n  {made_up:.2%} made up, {played.share('fecSamples', 2.0, LOSSY_S):.2%} brought back by FEC, "
        f"delay {played.delay_ms(2.0, LOSSY_S):.0f} ms"
    )
    assert made_up <= 0.06


def test_a_burst_of_300_ms_leaves_no_delay_behind(stream: Stream) -> None:
    played = _play(stream)
    # `tc` takes its time in the guest: the burst is where the packets say it was.
    late = [packet.arrival_ms / 1000.0 for packet in stream.packets if packet.delay_ms > 250.0]
    late = [at for at in late if at > BURST_S]
    assert len(late) > 20, "the burst did not come about"
    begin_s, end_s = min(late) - 0.3, max(late)
    before_ms = played.delay_ms(begin_s - 2.0, begin_s)
    held_ms = played.delay_ms(begin_s + 0.5, end_s)
    soon_ms = played.delay_ms(end_s + 2.0, end_s + 2.5)
    later_ms = played.delay_ms(END_S - 3.0, END_S - 1.0)
    made_up = played.share("concealedSamples", begin_s, end_s + 2.0)
    print(
        f"\n  {end_s - begin_s:.1f} s of packets 300 ms late: delay {before_ms:.0f} ms before, {held_ms:.0f} ms in it, "
        f"{soon_ms:.0f} ms 2 s after it, {later_ms:.0f} ms at the end; "
        f"{made_up * (end_s + 2.0 - begin_s) * 1000.0:.0f} ms made up"
    )
    # The target itself may have grown by the jitter seen, never past its 120 ms.
    assert soon_ms <= max(before_ms, 120.0) + 20.0
    assert later_ms <= before_ms + 40.0
