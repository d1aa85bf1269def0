"""Coming, going and coming back: who sees whom, and under which seat."""

from functools import partial
from pathlib import Path

import pytest
from browser_hosts import Browse, Process, Served, open_page, stopping
from browser_steps import connected, figures, join, keep, no_complaints, until, wait_for_state
from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def another(page: Page) -> Page:
    """Open a page of its own in the browser of another: the same face, and no third browser to feed."""
    assert page.context.browser is not None
    return open_page(page.context.browser, 800, 600)


def test_a_third_sees_both_a_reload_keeps_the_seat_and_leaving_is_seen(
    browse: Browse, served: Served, out: Path
) -> None:
    anna = browse(0, 800, 600)
    join(anna, served.link, "Anna")
    connected(anna)
    ben = another(anna)
    join(ben, served.link, "Ben")
    wait_for_state(anna, "Ben", "real", "synth", "still")
    carol = another(anna)
    join(carol, served.link, "Carol")
    until(lambda: carol.locator(".tile").count() == 2, "Carol sees both")
    for page, name in ((carol, "Anna"), (carol, "Ben"), (anna, "Carol"), (ben, "Carol")):
        until(partial(plays, page, name), f"{name} is seen", 40)
    carol.screenshot(path=out / "three.png")

    seats = "tiles => tiles.map((tile) => tile.dataset.peer).sort()"
    before = anna.locator(".tile").evaluate_all(seats)
    ben.reload()
    ben.get_by_role("button", name="Join").click()
    connected(ben)
    until(lambda: ben.locator(".tile").count() == 2, "Ben sees both again")
    assert anna.locator(".tile").evaluate_all(seats) == before, "Ben has his seat back"
    until(partial(plays, anna, "Ben"), "Ben is seen again", 40)

    carol.get_by_role("button", name="Leave").click()
    until(lambda: anna.locator(".tile").count() == 1, "Carol's tile goes")
    until(lambda: ben.locator(".tile").count() == 1, "Carol's tile goes at Ben's as well")
    no_complaints(anna, ben, carol)


def plays(page: Page, name: str) -> bool:
    return figures(page, name)["framesDecoded"] > 5


def test_a_page_and_the_command_line_call_each_other(
    browse: Browse, served: Served, out: Path, caller_clip: Path
) -> None:
    page = browse(0)
    join(page, served.link, "Anna")
    connected(page)
    seen = out / "seen-by-the-command.mp4"
    command = Process(
        "call",
        served.signaling,
        "--token",
        served.token,
        "--name",
        "Clip",
        "--clip",
        str(caller_clip),
        "--view",
        str(seen),
    )
    with stopping(command):
        command.wait_for("In the call")
        wait_for_state(page, "Clip", "real", timeout_s=40)
        until(lambda: figures(page, "Clip")["framesDecoded"] > 50, "the clip plays", 40)
        keep(out, "page-and-command", figures(page, "Clip"))
        page.screenshot(path=out / "page-and-command.png")
    until(lambda: page.locator(".tile").count() == 0, "the command left")
    no_complaints(page)
