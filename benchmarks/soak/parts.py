"""What both soaks are made of: the bundled caller's film and the renderer."""

from models.hearing import Hearing
from realtime.picture.synth_api import FaceRenderer

RENDERERS = ("lite", "light")


def make_renderer(name: str) -> tuple[FaceRenderer, Hearing]:
    """Return the renderer and its hearing: "lite", the bundled model as a node runs it, or "light", a painted stand-in.

    Raises:
        ValueError: there is no renderer of that name.
    """
    if name == "light":
        from benchmarks.avskew.beacon import BeaconRenderer
        from benchmarks.avskew.call import WINDOW

        return BeaconRenderer(WINDOW), WINDOW
    if name != "lite":
        raise ValueError(f"there is no renderer {name}: choose one of {', '.join(RENDERERS)}")
    from models.catalog import open_generator
    from realtime.face.synth import FaceSynth
    from realtime.face.tracker import MediaPipeTracker

    generator = open_generator("lite", "cpu", threads=1)
    return FaceSynth(generator, MediaPipeTracker()), generator.hearing
