"""Inside the guest: send speech packets through netem from one namespace to another, and note what came when.

    python tests/net/guest_stream.py FOLDER     with speech.json and script.json in FOLDER; writes arrived.json

`speech.json`: payloads in base64, one for each 20 ms. `script.json`: [[seconds, netem words], ...], each from that time
on. `arrived.json`: `{"sent": [[sequence, ns], ...], "arrived": [[sequence, timestamp, crc, ns], ...]}`, all ns of one
clock; arrivals are the kernel's own stamps, for an emulated processor is late to look. Standard library only: under
emulation numpy alone takes seconds to import.
"""

import base64
import json
import socket
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.net.namespaces import CALLER, NODE, Namespaces, run  # noqa: E402

PORT = 5004
STEP_S = 0.02
_SO_TIMESTAMPNS = 35
_AFTER_S = 1.5


def send(folder: Path) -> None:
    """Send every payload as an RTP packet at its time; note when each one left."""
    payloads = [base64.b64decode(text) for text in json.loads((folder / "speech.json").read_text())]
    left = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.connect(("10.77.1.1", PORT))
        print("sending", flush=True)
        zero_s = time.monotonic()
        for index, payload in enumerate(payloads):
            time.sleep(max(0.0, zero_s + index * STEP_S - time.monotonic()))
            packet = struct.pack("!BBHII", 0x80, 96, index & 0xFFFF, index * 960, 1) + payload
            left.append([index, time.time_ns()])
            wire.send(packet)
    (folder / "sent.json").write_text(json.dumps(left))


def receive(folder: Path) -> None:
    """Note every packet that comes, until none has come for a while."""
    came = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        wire.bind(("10.77.1.1", PORT))
        print("receiving", flush=True)
        wire.settimeout(30.0)
        try:
            while True:
                packet, extra, _flags, _address = wire.recvmsg(2048, 256)
                wire.settimeout(_AFTER_S)
                _, _, sequence, timestamp, _ = struct.unpack("!BBHII", packet[:12])
                seconds, ns = struct.unpack("qq", extra[0][2][:16])
                came.append([sequence, timestamp, zlib.crc32(packet[12:]), seconds * 1_000_000_000 + ns])
        except TimeoutError:
            pass
    (folder / "arrived-raw.json").write_text(json.dumps(came))


def netem(net: Namespaces, words: str) -> None:
    """Make the caller's link what `words` say, from now on."""
    run("tc", "-n", net.name(CALLER), "qdisc", "replace", "dev", "net0", "root", "netem", *words.split())


def main(folder: Path) -> None:
    """Run the stream through the script."""
    script = json.loads((folder / "script.json").read_text())
    with Namespaces() as net:
        netem(net, script[0][1])

        def started(place: str, part: str) -> "subprocess.Popen[str]":
            command = net.command(place, sys.executable, __file__, str(folder), part)
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None and process.stdout.readline(), f"no {part}"
            return process

        receiver = started(NODE, "receive")
        sender = started(CALLER, "send")
        zero_s = time.monotonic()
        for seconds, words in script[1:]:
            time.sleep(max(0.0, zero_s + seconds - time.monotonic()))
            netem(net, words)
        if sender.wait() or receiver.wait():
            raise SystemExit("the stream broke")
        print(net.ip(CALLER, "-s", "link", "show", "dev", "net0"))
    sent, arrived = (json.loads((folder / name).read_text()) for name in ("sent.json", "arrived-raw.json"))
    (folder / "arrived.json").write_text(json.dumps({"sent": sent, "arrived": arrived}))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        main(Path(sys.argv[1]))
    else:
        {"send": send, "receive": receive}[sys.argv[2]](Path(sys.argv[1]))
