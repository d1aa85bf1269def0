"""One call, one clock: timing, link state, history, compositing, engine, and the skins that do the I/O."""
