"""One picture for every tick: the state of the video, the switch to synthesis and back, the engine. Pure: no I/O."""
