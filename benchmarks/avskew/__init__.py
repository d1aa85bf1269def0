"""A/V skew from camera to screen, measured by flashes and beeps and not by lipline's own counters."""
