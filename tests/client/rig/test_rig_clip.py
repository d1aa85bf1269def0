from pathlib import Path

import numpy as np
import pytest

from client.errors import UsageError
from client.rig.clip import load, prepare
from realtime.media_file import write_media


def test_a_short_clip_is_played_again_and_its_cuts_are_known(tmp_path: Path, caller_clip: Path) -> None:
    clip = prepare([caller_clip], 2.0, tmp_path / "short.mp4")
    assert clip.images.shape[0] == 50
    assert clip.cuts == () and clip.warnings == ()
    images, samples = load(clip.path)
    assert images.shape == clip.images.shape
    assert samples.tolist() == clip.samples.tolist()
    write_media(tmp_path / "one.mp4", clip.images[:25], 25, np.sin(np.arange(48_000) / 30).astype(np.float32) * 0.3)
    looped = prepare([tmp_path / "one.mp4", tmp_path / "one.mp4"], 3.0, tmp_path / "looped.mp4")
    assert len(looped.images) == 75
    assert looped.cuts == (25, 50)
    assert "played again" in looped.warnings[0]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("silent", "silent"), ("mute", "no sound"), ("faceless", "a face was found in only 0 of")],
)
def test_a_clip_that_cannot_serve_is_refused_with_the_reason(tmp_path: Path, name: str, wanted: str) -> None:
    blank = np.full((30, 96, 96, 3), 128, np.uint8)
    tone = np.sin(np.arange(57_600) / 30).astype(np.float32) * 0.3
    sound = {"silent": tone * 0, "mute": None, "faceless": tone}[name]
    write_media(tmp_path / "bad.mp4", blank, 25, sound)
    with pytest.raises(UsageError, match=wanted):
        prepare([tmp_path / "bad.mp4"], 1.0, tmp_path / "out.mp4")
