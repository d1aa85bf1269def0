"""What runs in the guest: Chromium, which reads our virtual camera as a video call's page does.

    guest_chromium.py WIDTHxHEIGHT@FPS... OUT.json    a browser of its own for each word

The page is served on the guest's own 127.0.0.1 and sends back what it has: the names of the cameras, the bytes of some
pictures, the sizes of those that were shown. Times are the guest's seconds since Chromium was started. What was seen
goes into OUT.json, what Chromium said into chromium.log beside it.
"""

import json
import subprocess
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from realtime.devices.holders import who_holds
from tests.vm.camera_frames import number_of, picture
from tests.vm.guest_camera import RUN, Sender, load

CHROMIUM = (
    "chromium", "--headless=new", "--no-sandbox", "--use-fake-ui-for-media-stream", "--disable-gpu", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--no-first-run",
    "--disable-gpu-watchdog", "--enable-logging=stderr",
)  # fmt: skip
PATIENCE_S = 40.0
COUNT = 12
PAGE = """<!doctype html><title>camera</title><video muted playsinline></video><script>
const tell = (what, body) => fetch("/" + what, {method: "POST", body});
const [WIDTH, HEIGHT, COUNT] = [%d, %d, %d];
(async () => {
  await tell("page", "");
  const stream = await navigator.mediaDevices.getUserMedia({video: {width: WIDTH, height: HEIGHT}});
  const [track] = stream.getVideoTracks();
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter(({kind}) => kind === "videoinput");
  await tell("camera", JSON.stringify({
    devices: devices.map(({label}) => label), track: track.label, settings: track.getSettings(),
  }));
  const video = document.querySelector("video");
  const shown = [];
  const onShown = (now, {width, height}) => {
    shown.push([width, height]);
    if (shown.length < COUNT) video.requestVideoFrameCallback(onShown);
    else tell("shown", JSON.stringify(shown));
  };
  video.requestVideoFrameCallback(onShown);
  video.srcObject = stream;
  await video.play();
  const reader = new MediaStreamTrackProcessor({track}).readable.getReader();
  for (let index = 0; index < COUNT; index += 1) {
    const {value: frame} = await reader.read();
    const bytes = new Uint8Array(frame.allocationSize());
    await frame.copyTo(bytes);
    const {format, visibleRect: {width, height}} = frame;
    frame.close();
    await tell(["picture", format, width, height].join("/"), bytes);
  }
})().catch((error) => tell("failed", String(error)));
</script>"""


class Heard:
    """Hold what the page told, and when."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.started = time.monotonic()
        self.seen: dict[str, Any] = {"times": {}, "pictures": []}
        self.whole = threading.Event()

    def take(self, path: str, body: bytes) -> None:
        what, *words = path.strip("/").split("/")
        self.seen["times"].setdefault(what, round(time.monotonic() - self.started, 2))
        print(f"{time.monotonic() - self.started:8.2f} {path} {len(body)} bytes", flush=True)
        if what == "picture":
            self.seen["pictures"].append(self._judge(words[0], int(words[1]), int(words[2]), body))
        elif what in ("camera", "shown"):
            self.seen[what] = json.loads(body)
        elif what == "failed":
            self.seen["failed"] = body.decode()
            self.whole.set()
        if len(self.seen["pictures"]) == COUNT and "shown" in self.seen:
            self.whole.set()

    def _judge(self, form: str, width: int, height: int, body: bytes) -> tuple[str, int, int, int, bool]:
        """Return form, size, number, and whether every byte is ours."""
        i420 = np.frombuffer(body, np.uint8)
        if form == "NV12":
            luma, chroma = np.split(i420, [width * height])
            i420 = np.concatenate([luma, chroma[0::2], chroma[1::2]])
        if (width, height) != self.size or i420.size != width * height * 3 // 2:
            return form, width, height, -1, False
        image = i420.reshape(height * 3 // 2, width)
        number = number_of(image)
        return form, width, height, number, bool(np.array_equal(image, picture(number, self.size)))


def serve(heard: Heard) -> ThreadingHTTPServer:
    page = (PAGE % (*heard.size, COUNT)).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(page if self.path == "/" else b"")

        def do_POST(self) -> None:
            heard.take(self.path, self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.answer(b"")

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def look(size: tuple[int, int], fps: float, folder: Path) -> dict[str, Any]:
    """Send numbered pictures to "lipline", show them to a browser, return what it told."""
    sender = Sender("lipline", size, fps)
    heard = Heard(size)
    server = serve(heard)
    profile = f"--user-data-dir={RUN}/chromium-{size[0]}"
    with (folder / "chromium.log").open("ab") as log:
        command = [*CHROMIUM, profile, f"http://127.0.0.1:{server.server_address[1]}/"]
        heard.started = time.monotonic()
        browser = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            heard.seen["whole"] = heard.whole.wait(PATIENCE_S)
            heard.seen["readers"] = [holder.name for holder in who_holds(["/dev/video0"]) if not holder.writes]
        finally:
            browser.terminate()
            browser.wait(20.0)
            sender.end()
    return heard.seen


def main() -> None:
    *plans, out = sys.argv[1:]
    RUN.mkdir(exist_ok=True)
    load("0", "lipline")
    results: dict[str, Any] = {}
    for plan in plans:
        word, _, fps = plan.partition("@")
        width, height = (int(side) for side in word.split("x"))
        try:
            results[plan] = look((width, height), float(fps), Path(out).parent)
        except Exception:
            results[plan] = {"failed": traceback.format_exc()}
        print(plan, json.dumps(results[plan]), flush=True)
        Path(out).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
