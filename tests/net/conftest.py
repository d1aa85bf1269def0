from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.net.clips import repeated
from tests.net.namespaces import Namespaces, why_not
from tests.net.processes import Processes

CLIP_S = 120.0


@pytest.fixture(scope="session")
def long_clip(caller_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repeated(caller_clip, CLIP_S, tmp_path_factory.mktemp("clip") / "caller.mp4")


@pytest.fixture
def net() -> Iterator[Namespaces]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with Namespaces() as made:
        yield made


@pytest.fixture
def processes(net: Namespaces) -> Iterator[Processes]:
    with Processes(net) as started:
        yield started
