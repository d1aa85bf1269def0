"""The page without a call: reachable by keyboard, named for screen readers, narrow, clear about what is wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser_hosts import Browse, ColorScheme, open_page
from browser_steps import no_complaints, previewed, until
from playwright.sync_api import Page, Playwright

pytestmark = pytest.mark.browser

NAMES = """() => {
  const named = (element) => {
    const by = (element.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id));
    return by.map((each) => each?.textContent ?? "").join(" ").trim() || element.getAttribute("aria-label")
      || [...(element.labels ?? [])].map((each) => each.textContent).join(" ").trim()
      || (element.matches("button, summary, a") ? element.textContent.trim() : "");
  };
  const controls = document.querySelectorAll(
    "button, input, select, summary, a[href], [tabindex='0'], video, section, ul, [role=meter], [role=group]");
  return [...controls].filter((each) => !named(each)).map((each) => each.outerHTML.slice(0, 90));
}"""

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

# Relative luminance by WCAG 2.2, of every text that is seen against the nearest opaque colour behind it.
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => [r, g, b].map((c) => linear(c / 255))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const weak = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!text || element.closest(".tile-name, :disabled, .hidden-title") || !element.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) weak.push(`${element.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return weak;
}"""


def test_join_and_leave_with_the_keyboard_alone(browse: Browse, port: int) -> None:
    page = browse()
    page.goto(f"http://127.0.0.1:{port}/?room=keys#token=t")
    previewed(page)

    def focused() -> str:
        return str(page.evaluate("document.activeElement.id || document.activeElement.tagName"))

    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(focused())
        if reached[-1] == "name":
            page.keyboard.type("Anna")
        if reached[-1] == "join":
            break
    assert [each for each in reached if each in ("name", "room", "camera", "microphone", "join")] == [
        "name", "room", "camera", "microphone", "join",
    ]  # fmt: skip
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("#call:not([hidden])")
    until(lambda: focused() == "call-title", "focus is in the call")
    page.keyboard.press("m")
    assert page.locator("#mute").get_attribute("aria-pressed") == "true"
    assert page.evaluate("document.querySelector('#self').srcObject !== null")
    for wanted in ("mute", "pause", "camera-off", "leave"):
        page.keyboard.press("Tab")
        assert focused() == wanted
    page.keyboard.press("Enter")
    page.wait_for_selector("#setup:not([hidden])")
    assert focused() == "setup-title"
    page.keyboard.press("m")  # no key does anything outside a call
    no_complaints(page)


def test_keys_can_be_switched_off_and_do_not_disturb_typing(browse: Browse, port: int) -> None:
    page = browse()
    page.goto(f"http://127.0.0.1:{port}/?room=keys2#token=t")
    page.get_by_label("Your name").fill("Mila")
    page.get_by_role("button", name="Join").click()
    page.wait_for_selector("#call:not([hidden])")
    page.locator("#devices summary").click()
    page.locator("#call-camera").focus()
    page.keyboard.press("l")
    assert page.locator("#call").is_visible()
    page.locator("#shortcuts").uncheck()
    page.locator("#call-title").focus()
    page.keyboard.press("l")
    assert page.locator("#call").is_visible()
    page.locator("#shortcuts").check()
    page.keyboard.press("l")
    page.wait_for_selector("#setup:not([hidden])")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_has_a_name_fits_and_can_be_read(browse: Browse, port: int, out: Path, scheme: ColorScheme) -> None:
    page = browse(width=1280, color_scheme=scheme)
    page.goto(f"http://127.0.0.1:{port}/?room=names-{scheme}#token=t")
    previewed(page)
    for view in ("setup", "call"):
        if view == "call":
            page.get_by_role("button", name="Join").click()
            page.wait_for_selector("#call:not([hidden])")
            for details in page.locator("details summary").all():
                details.click()
        assert page.evaluate(NAMES) == []
        assert page.evaluate(CONTRAST) == []
        for width in (1280, 768, 390, 320):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate(OVERFLOW) <= 0, f"{view} at {width} px"
            page.screenshot(path=out / f"{view}-{width}-{scheme}.png")
        page.set_viewport_size({"width": 1280, "height": 800})
    no_complaints(page)


def test_the_checks_above_can_fail(browse: Browse, port: int) -> None:
    page = browse()
    page.goto(f"http://127.0.0.1:{port}/#token=t")
    previewed(page)
    page.evaluate("document.querySelector('#preview').removeAttribute('aria-label')")
    page.evaluate("document.querySelector('.lede').style.color = '#9a9a9a'")
    page.evaluate("document.querySelector('.fields').style.width = '1400px'")
    assert len(page.evaluate(NAMES)) == 1
    assert len(page.evaluate(CONTRAST)) == 1
    assert page.evaluate(OVERFLOW) > 0


# A tile of somebody whose reports the test makes up; what a screen reader would hear is kept.
TILE = """async () => {
  const {Stage} = await import("/tiles.js"), {ReportLog} = await import("/report.js");
  const watcher = Object.assign(new EventTarget(), {connection: {state: "connected"}, reports: new ReportLog()});
  const heard = [];
  const stage = new Stage((text) => heard.push(text));
  stage.add({id: "a", name: "<b>Anna</b>", watcher, framesFlow: true, figures: {framesDecoded: 9}});
  const report = (state) => {
    watcher.reports.take({state, since_ms: 0}, performance.now());
    watcher.dispatchEvent(new Event("report"));
  };
  window.tile = {heard, report, refresh: () => stage.refresh()};
}"""


def test_a_new_state_is_read_out_once_and_only_when_it_has_settled(browse: Browse, port: int) -> None:
    page = browse()
    page.goto(f"http://127.0.0.1:{port}/#token=t")
    page.evaluate(TILE)

    def live(seconds: float, state: str) -> list[str]:
        for _ in range(round(seconds / 0.25)):  # reports come four times a second
            page.evaluate("state => { tile.report(state); tile.refresh(); }", state)
            page.wait_for_timeout(250)
        return list(page.evaluate("tile.heard"))

    assert live(2.5, "real") == ["<b>Anna</b>: real video"]
    assert live(0.5, "synth") == live(2.0, "real") == ["<b>Anna</b>: real video"], "a flicker is no news"
    assert live(4.0, "synth")[1:] == ["<b>Anna</b>: synthetic, AI-generated video"]
    tile = page.locator(".tile")
    assert tile.locator(".tile-name").text_content() == "<b>Anna</b>", "a name is text, never markup"
    assert (tile.locator(".state-words").text_content() or "").startswith("synthetic since ")


def test_a_wrong_token_is_told_and_leads_back(browse: Browse, port: int) -> None:
    first, link = browse(), f"http://127.0.0.1:{port}/?room=closed#token="
    first.goto(link + "right")
    first.get_by_role("button", name="Join").click()
    first.wait_for_selector("#call:not([hidden])")
    until(lambda: first.locator("#line span").inner_text() == "waiting for the room's node", "the first is in")
    assert first.context.browser is not None
    second = open_page(first.context.browser)
    second.goto(link + "wrong")
    second.get_by_role("button", name="Join").click()
    second.wait_for_selector("#notice:not([hidden])")
    assert "token does not open" in second.locator("#notice").inner_text()
    assert second.locator("#setup").is_visible() and second.locator("#token").is_visible()


def test_the_link_is_copied_with_room_and_token(browse: Browse, port: int) -> None:
    page = browse()
    page.goto(f"http://127.0.0.1:{port}/")
    page.get_by_label("Room").fill("our.room")
    page.get_by_label("Token").fill("a b&c")
    page.get_by_role("button", name="Join").click()
    page.get_by_role("button", name="Copy room link").click()
    until(lambda: page.locator("#copy").inner_text() == "Link copied", "it is told")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"http://127.0.0.1:{port}/?room=our.room#token=a+b%26c"
    page.goto("about:blank")
    page.goto(copied)
    assert page.get_by_label("Room").input_value() == "our.room"
    assert page.locator("#token").input_value() == "a b&c"


@pytest.fixture
def bare(playwright: Playwright, chromium: str) -> Iterator[Callable[..., Page]]:
    """Give pages of a browser with only the flags asked for, and no permission."""
    browsers = []

    def start(*flags: str) -> Page:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu", *flags])
        browsers.append(browser)
        return browser.new_context().new_page()

    yield start
    for browser in browsers:
        browser.close()


def test_without_a_secure_context_it_says_what_to_do(bare: Callable[..., Page], port: int) -> None:
    page = bare("--host-resolver-rules=MAP lipline.test 127.0.0.1")
    page.goto(f"http://lipline.test:{port}/#token=t")
    page.wait_for_selector("#notice:not([hidden])")
    told = page.locator("#notice").inner_text()
    assert "https" in told and f"http://localhost:{port}/" in told
    assert page.get_by_role("button", name="Join").is_disabled()


def test_a_denied_permission_is_told_and_leaves_a_way_in(bare: Callable[..., Page], port: int) -> None:
    page = bare("--use-fake-device-for-media-stream", "--deny-permission-prompts")
    page.goto(f"http://127.0.0.1:{port}/?room=denied#token=t")
    page.wait_for_selector("#retry:not([hidden])")
    assert "Allow it" in page.locator("#problem-video").inner_text()
    assert "Allow it" in page.locator("#problem-audio").inner_text()
    page.get_by_role("button", name="Join").click()
    page.wait_for_selector("#call:not([hidden])")


def test_missing_devices_are_told_and_leave_a_way_in(bare: Callable[..., Page], port: int) -> None:
    page = bare("--use-fake-ui-for-media-stream")
    page.goto(f"http://127.0.0.1:{port}/?room=none#token=t")
    page.wait_for_selector("#retry:not([hidden])")
    assert "No camera was found" in page.locator("#problem-video").inner_text()
    page.get_by_role("button", name="Join").click()
    page.wait_for_selector("#call:not([hidden])")
