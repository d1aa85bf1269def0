import io

from realtime.statusline import StatusLine


class Terminal(io.StringIO):
    """What a terminal is sent."""

    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> list[str]:
        """Lines as somebody sees them, who also sees what a shorter text leaves of a longer one."""
        lines = []
        for line in self.getvalue().split("\n"):
            shown = ""
            for text in line.split("\r"):
                shown = text + shown[len(text) :]
            lines.append(shown.rstrip())
        return lines


def test_a_text_replaces_the_one_before() -> None:
    terminal = Terminal()
    line = StatusLine(terminal, prefix="log: ")
    line.show("nine of ten", 9)
    line.show("ten", 10)
    assert terminal.screen == ["ten"]
    line.end()
    line.end()
    assert terminal.screen == ["ten", ""]


def test_what_is_said_stays_above_the_line() -> None:
    terminal = Terminal()
    line = StatusLine(terminal)
    line.show("a long status", None)
    line.say("gone")
    line.show("again", None)
    assert terminal.screen == ["gone", "again"]
    line.clear()
    assert terminal.screen == ["gone", ""]


def test_texts_of_one_mark_come_at_most_every_so_often_and_a_new_mark_at_once() -> None:
    terminal = Terminal()
    line = StatusLine(terminal, every_s=1000.0)
    for text, mark in (("a", 1), ("b", 1), ("c", 2)):
        line.show(text, mark)
    assert terminal.getvalue() == "\ra\rc"


def test_in_a_log_each_mark_is_a_line() -> None:
    log = io.StringIO()
    line = StatusLine(log, prefix="dub: ")
    for text, mark in (("a", None), ("b", 1), ("c", 1), ("d", None), ("e", 2)):
        line.show(text, mark)
    line.clear()
    line.end()
    assert log.getvalue() == "dub: b\ndub: e\n"


def test_a_terminal_shows_the_share_that_is_done_as_a_bar() -> None:
    terminal, log = Terminal(), io.StringIO()
    for stream in (terminal, log):
        StatusLine(stream).show("half", 1, share=0.5)
    assert terminal.screen == [f"[{'#' * 15}{' ' * 15}] half"] and log.getvalue() == "half\n"
