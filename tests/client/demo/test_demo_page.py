import pytest

from client.demo.page import number
from client.demo.plot import Panel, stack
from client.rig.timeline import Span


def test_plots_hold_what_they_are_given_and_escape_it() -> None:
    panel = Panel("<rate>", "kbit/s", 10.0, 100.0)
    panel.line([0.0, 5000.0, 10_000.0], [0.0, float("nan"), 50.0], "line a")
    panel.line([0.0, 10_000.0], [0.0, 200.0], "line b")
    panel.shade([Span("synth", 1000.0, 2000.0)])
    drawn = stack("A & B", [("states", [Span("real", 0.0, 10_000.0)]), panel], 10.0)
    assert drawn.count("<polyline") == 1
    assert 'points="64.0,150.0 988.0,0.0"' in drawn
    assert "&lt;rate&gt;" in drawn and "A &amp; B" in drawn
    assert "REAL" in drawn


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "", "0"),
        (25.0, "1/s", "25.00 1/s"),
        (0.01234, "eyes", "0.0123 eyes"),
        (1234.5, "ms", "1234 ms"),
        (float("nan"), "s", "not measured"),
    ],
)
def test_numbers_are_as_precise_as_they_deserve(value: float, unit: str, text: str) -> None:
    assert number(value, unit) == text
