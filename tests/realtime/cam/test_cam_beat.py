"""When a local call's pictures leave: in the camera's time, or by the timer."""

import numpy as np
import pytest
from cam_simulation import WINDOW, LocalCallInTime

from realtime.cam.beat import Beat
from realtime.media import FrameKind
from realtime.picture.engine import Engine, EngineConfig
from realtime.speech.audio import SpeechPath


def test_where_the_camera_stops_the_timer_shows_made_pictures_every_interval_from_the_end_of_the_link_on() -> None:
    call = LocalCallInTime(fps=25.0, camera_jitter=0.0, gone=((3_000.0, 60_000.0),)).run(6)
    last = max(at for at, picture in call.shown if picture.kind is FrameKind.REAL)
    made = np.array([at for at, picture in call.shown if picture.kind is FrameKind.SYNTH])
    assert last < made[0] <= last + call.path.engine.monitor.synth_gap_ms + 5.0
    assert np.diff(made) == pytest.approx(40.0)


def beat() -> Beat:
    return Beat(Engine(SpeechPath(WINDOW), None, config=EngineConfig(fps=25.0)), 0.0)


def test_a_late_made_frame_is_looked_for_again_within_a_few_ms() -> None:
    beaten = beat()
    beaten.look_again(100.0)
    assert 100.0 < beaten.next_ms <= 105.0


def test_a_tick_is_brought_forward_and_never_put_off() -> None:
    beaten = beat()
    beaten.look_again(100.0)
    due_ms = beaten.next_ms
    beaten.tick_now(due_ms + 50.0)
    assert beaten.next_ms == due_ms
    beaten.tick_now(due_ms - 2.0)
    assert beaten.next_ms == due_ms - 2.0
