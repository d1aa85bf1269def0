"""`lipline serve`: a signaling server with a lipline node in each of its rooms, in one process."""

import argparse
import asyncio
import ipaddress
import logging
import secrets
import sys
from pathlib import Path
from urllib.parse import quote

from client.errors import UsageError
from realtime import ending

DEFAULT_PORT = 8765

DESCRIPTION = """\
Run rooms for calls, each with a lipline node that filters everybody who publishes. People join
with a browser, on the page that is printed, or with `lipline call`. Logs hold no names, faces,
words or tokens."""

EXAMPLES = """\
examples:
  lipline serve                                  one room, "lipline", on this machine only
  lipline serve --host 0.0.0.0 --cert cert.pem --key key.pem   for others as well, over TLS
  lipline serve --room a --room b --model wav2lip.onnx --provider cuda
  lipline serve --models voices/                 a caller named anna gets voices/anna.onnx (lipline enroll)
  lipline serve --no-filter                      forward as it is, to compare"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `lipline serve`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port to listen on, 0 for any ({DEFAULT_PORT})")
    parser.add_argument("--room", action="append", metavar="NAME", help="room with a node; repeatable (lipline)")
    parser.add_argument("--token", help="what peers must bring; made up and printed when left out")
    parser.add_argument("--cert", type=Path, metavar="FILE", help="certificate in PEM: serve https and wss")
    parser.add_argument("--key", type=Path, metavar="FILE", help="its key in PEM, without a password")
    parser.add_argument("--model", default="lite", metavar="NAME|FILE.onnx", help="bundled name or file (lite)")
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="a caller named NAME gets DIR/NAME.onnx where there is one"
    )
    parser.add_argument("--provider", choices=("cpu", "cuda"), default="cpu", help="where the model runs (cpu)")
    parser.add_argument("--no-filter", action="store_true", help="forward the caller as it is")


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    if not 0 <= options.port <= 65535:
        raise UsageError(f"there is no port {options.port}: use --port 0 to 65535")
    if options.models is not None and not options.models.is_dir():
        raise UsageError(f"there is no folder {options.models} for --models: make it, with NAME.onnx for each caller")
    if bool(options.cert) != bool(options.key):
        raise UsageError("--cert and --key belong together: give both files, or neither")
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)  # at the handler: some loggers below have a level of their own
    logging.basicConfig(handlers=[handler], format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    ending.run(_serve(options))
    return 0


async def _serve(options: argparse.Namespace) -> None:
    from client.serve.certificates import load_tls
    from client.serve.host import filter_node, hosted
    from client.serve.pages import page
    from models.errors import ModelError
    from realtime.rtc.node.plain import PlainNode
    from signaling.agent import Node
    from signaling.client import SignalingError
    from signaling.errors import Refused

    def make() -> Node:
        return PlainNode() if options.no_filter else filter_node(options.model, options.provider, options.models)

    rooms = options.room or ["lipline"]
    token = options.token or secrets.token_urlsafe(12)
    tls = load_tls(options.cert, options.key) if options.cert else None
    try:
        async with hosted(rooms, token, make, host=options.host, port=options.port, tls=tls, pages=page) as here:
            for room in rooms:
                # In the fragment, which browsers keep to themselves: a token must reach no log.
                print(f"open {here.page_url}?room={quote(room)}#token={quote(token, safe='')}", flush=True)
                print(f"join with: lipline call {here.url} --room {room} --token {token}", flush=True)
            for line in advice(options.host, tls is not None):
                print(line, file=sys.stderr)
            print("Ctrl-C ends it.", file=sys.stderr)
            done, _ = await asyncio.wait(here.agents, return_when=asyncio.FIRST_COMPLETED)
            for agent in done:
                agent.result()
    except ModelError as error:
        raise UsageError(str(error)) from error
    except (SignalingError, Refused) as error:
        raise UsageError(f"the node lost its own room: {error}") from error
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"cannot listen on {options.host}:{options.port} ({reason}): use another --port") from error


def advice(host: str, secure: bool) -> list[str]:
    """Return advice about `host`: how others reach it, and that browsers need TLS for camera and microphone."""
    if is_local(host):
        return []
    everywhere = host in ("", "0.0.0.0", "::")
    lines = ["Others use this machine's address in place of the one above."] if everywhere else []
    if not secure:
        from client.serve.certificates import MAKE_ONE

        address = "ADDRESS" if everywhere else host
        lines += [
            "Without TLS browsers give no camera and no microphone to a page from another machine. Make a certificate:",
            f"  {MAKE_ONE.format(address=address)}",
            "and start again with --cert cert.pem --key key.pem",
        ]
    return lines


def is_local(host: str) -> bool:
    """Return whether `host` listens to this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
