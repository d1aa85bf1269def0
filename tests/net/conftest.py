from pathlib import Path

import pytest

from tests.net.clips import repeated

CLIP_S = 120.0


@pytest.fixture(scope="session")
def long_clip(caller_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repeated(caller_clip, CLIP_S, tmp_path_factory.mktemp("clip") / "caller.mp4")
