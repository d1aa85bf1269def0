"""Speech from packets to blocks and mel: jitter buffer, playout delay, concealment, resampling. Pure: no I/O."""
