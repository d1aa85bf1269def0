"""What viewers are shown: the state of the output, and when the picture stands still."""

from realtime.media import FrameKind
from realtime.picture.stats import Shown, ShownState


def test_what_is_shown_waits_for_the_first_frame() -> None:
    shown = Shown(500.0)
    shown.note(None, ShownState.WAITING, 700.0)
    assert (shown.state, shown.since_ms) == (ShownState.WAITING, 500.0)
    shown.note(FrameKind.REAL, ShownState.REAL, 720.0)
    assert (shown.state, shown.since_ms) == (ShownState.REAL, 720.0)


def test_four_repeated_frames_are_no_new_state_and_the_fifth_stands_still() -> None:
    shown = Shown(0.0)
    shown.note(FrameKind.REAL, ShownState.REAL, 0.0)
    for number in range(1, 5):
        shown.note(FrameKind.REPEATED, ShownState.SYNTH, 40.0 * number)
        assert (shown.state, shown.since_ms) == (ShownState.REAL, 0.0)
    shown.note(FrameKind.REPEATED, ShownState.SYNTH, 200.0)
    assert (shown.state, shown.since_ms) == (ShownState.STILL, 200.0)
    shown.note(FrameKind.SYNTH, ShownState.SYNTH, 240.0)
    assert (shown.state, shown.since_ms) == (ShownState.SYNTH, 240.0)


def test_an_output_that_stands_still_is_told_even_while_frames_are_repeated() -> None:
    shown = Shown(0.0)
    shown.note(FrameKind.SYNTH, ShownState.SYNTH, 0.0)
    shown.note(FrameKind.REPEATED, ShownState.STILL, 40.0)
    assert (shown.state, shown.since_ms) == (ShownState.STILL, 40.0)
