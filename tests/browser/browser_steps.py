"""What the tests do with a page and read from it, in the words of a person in a call."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from browser_hosts import complaints_of
from playwright.sync_api import Page

# Asking a page ten times a second takes a sixth of a core, which browsers and node want.
POLL_S = 0.3

# The figures of W3C webrtc-stats that the tests are about, read by the page's own getStats().
RECEIVED = """async () => {
  for (const pc of [...window.seen.connections].reverse()) {
    if (pc.connectionState !== "connected") continue;
    const found = {};
    for (const entry of (await pc.getStats()).values()) {
      if (entry.type !== "inbound-rtp") continue;
      found[entry.kind] = entry;
    }
    if (found.video && (!TRACK || pc.getReceivers().some(({track}) => track && track.id === TRACK))) return found;
  }
  return null;
}"""

TILE_TRACK = """name => {
  for (const tile of document.querySelectorAll(".tile")) {
    if (tile.querySelector(".tile-name").textContent !== name) continue;
    return tile.querySelector("video").srcObject?.getVideoTracks()[0]?.id ?? null;
  }
  return null;
}"""


def join(page: Page, link: str, name: str) -> None:
    """Open the link, fill in the name, press Join."""
    page.goto(link)
    previewed(page)
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Join").click()


def until(true: Callable[[], bool], what: str, timeout_s: float = 25.0) -> float:
    """Wait until something is true; return how long it took, seconds."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < timeout_s, f"not within {timeout_s:g} s: {what}"
        time.sleep(POLL_S)
    return time.monotonic() - start


def connected(page: Page) -> None:
    """Wait until the page says that it is connected."""
    until(lambda: page.locator("#line span").inner_text() == "connected", "the page is connected")


def previewed(page: Page) -> None:
    """Wait until the camera is seen. (The page's policy forbids what Playwright's wait_for_function needs.)"""
    until(lambda: bool(page.evaluate("document.querySelector('#preview').videoWidth > 0")), "the camera is seen")


def state_of(page: Page, name: str) -> str:
    """Return what the tile of a person says: real, synth, returning, still, waiting, plain, reconnecting, or ""."""
    tile = page.locator(".tile", has=page.locator(".tile-name", has_text=name))
    return (tile.first.get_attribute("data-state") or "") if tile.count() else ""


def words_of(page: Page, name: str) -> str:
    """Return the state in the tile of a person as it is written there."""
    return page.locator(".tile", has=page.locator(".tile-name", has_text=name)).locator(".state-words").inner_text()


def wait_for_state(page: Page, name: str, *states: str, timeout_s: float = 25.0) -> float:
    """Wait until a person's tile shows one of the states; return the seconds it took."""
    return until(lambda: state_of(page, name) in states, f"{name} is {' or '.join(states)}", timeout_s)


def received(page: Page, name: str) -> dict[str, Any]:
    """Return the inbound-rtp entries {"audio": ..., "video": ...} of what a page gets of a person; {} for nothing."""
    track = page.evaluate(TILE_TRACK, name)
    return dict(page.evaluate(RECEIVED.replace("TRACK", json.dumps(track))) or {}) if track else {}


def figures(page: Page, name: str) -> dict[str, float]:
    """Return the figures that say how good a picture was, in the names of webrtc-stats; delays in ms per emitted."""
    found = received(page, name)
    video, audio = found.get("video", {}), found.get("audio", {})

    def delay(entry: dict[str, Any]) -> float:
        emitted = float(entry.get("jitterBufferEmittedCount", 0))
        return round(1000 * float(entry.get("jitterBufferDelay", 0)) / max(1.0, emitted), 1)

    return {
        "framesDecoded": video.get("framesDecoded", 0),
        "freezeCount": video.get("freezeCount", 0),
        "totalFreezesDuration": round(video.get("totalFreezesDuration", 0.0), 3),
        "videoJitterBufferDelayMs": delay(video),
        "audioJitterBufferDelayMs": delay(audio),
        "framesDropped": video.get("framesDropped", 0),
        "packetsLost": video.get("packetsLost", 0),
        "concealedShare": round(audio.get("concealedSamples", 0) / max(1, audio.get("totalSamplesReceived", 0)), 4),
    }


def set_uplink(page: Page, kbps: int) -> None:
    """Move the slider "my uplink"; -1 is unlimited."""
    page.locator("#uplink").fill(str([0, 40, 60, 100, 300, 2000, -1].index(kbps)))


def picture_says(page: Page, name: str) -> bool:
    """Tell whether what is decoded for a person carries the badge: dark in the upper right corner, with white in it."""
    return bool(
        page.evaluate(
            """name => {
              const tile = [...document.querySelectorAll(".tile")].find(
                (each) => each.querySelector(".tile-name").textContent === name);
              const video = tile.querySelector("video");
              const canvas = document.createElement("canvas");
              const [width, height] = [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
              const context = canvas.getContext("2d");
              context.drawImage(video, 0, 0);
              const px = Math.max(12, Math.round(Math.min(width, height) * 0.032));
              const margin = Math.max(6, Math.round(Math.min(width, height) * 0.025));
              const {data} = context.getImageData(width - margin - 6 * px, margin + 2, 5 * px, Math.round(px * 1.8));
              let bright = 0, dark = 0;
              for (let i = 0; i < data.length; i += 4) {
                const light = (data[i] + data[i + 1] + data[i + 2]) / 3;
                if (light > 170) bright += 1;
                if (light < 100) dark += 1;
              }
              const all = data.length / 4;
              return bright > all * 0.04 && dark > all * 0.35;
            }""",
            name,
        )
    )


def keep(out: Path, name: str, content: dict[str, Any]) -> None:
    """Write what was measured, with the machine's load beside it."""
    load = os.getloadavg()
    text = json.dumps(
        {**content, "loadAverage": [round(value, 2) for value in load], "cores": os.cpu_count()}, indent=2
    )
    (out / f"{name}.json").write_text(text + "\n")
    print(f"\n{name}: {text}")


def no_complaints(*pages: Page) -> None:
    """Assert that no page threw or logged an error (a refused inline style would be one)."""
    for page in pages:
        assert complaints_of(page) == []
