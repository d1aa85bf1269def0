"""Where the known corpora keep their videos, and who speaks in them."""

from pathlib import Path

import pytest

from train.prepare.corpus import CorpusError, find_videos, speaker_of


@pytest.mark.parametrize(
    ("path", "speaker"),
    [
        ("/c/grid/s1/bbaf2n.mpg", "s1"),
        ("/c/grid/s12/video/bbaf2n.mpg", "s12"),
        ("/c/grid/s3/video/mpg_6000/bbaf2n.mpg", "s3"),
        ("/c/lombardgrid/front/s2_l_bbim3a.mov", "s2"),
        ("/c/lombardgrid/front/s41_p_lbbd9p.mov", "s41"),
        ("/c/CREMA-D/VideoFlash/1001_DFA_ANG_XX.flv", "1001"),
        ("/c/lrs2/main/5535415699068794046/00001.mp4", "5535415699068794046"),
        ("/c/lrs3/trainval/0d6iSvF1UmA/00009.mp4", "0d6iSvF1UmA"),
        ("/c/talks/someone/talk.mp4", "someone"),
    ],
)
def test_who_speaks_is_told_by_the_layout(path: str, speaker: str) -> None:
    assert speaker_of(Path(path)) == speaker
    by_file = speaker_of(Path(path), by="file")
    assert by_file == (speaker if speaker in Path(path).stem else Path(path).stem)


def touched(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_folders_are_searched_and_what_is_no_front_view_is_named(tmp_path: Path) -> None:
    touched(tmp_path, "front/s2_l_a.mov", "side/s2_l_a.mov", "b/x.MP4", "b/notes.txt", "b/.hidden/y.mp4", "a/x.mp4")
    videos, sides = find_videos([tmp_path, tmp_path / "b/x.MP4"])
    found = [(video.speaker, video.path.name) for video in videos]
    assert found == [("a", "x.mp4"), ("b", "x.MP4"), ("s2", "s2_l_a.mov")]
    assert sides == ["s2_l_a.mov"]
    assert {video.speaker for video in find_videos([tmp_path], speaker="me")[0]} == {"me"}


def test_nothing_to_prepare_says_so(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no videos in"):
        find_videos([tmp_path])
    with pytest.raises(CorpusError, match="check the path"):
        find_videos([tmp_path / "missing"])
