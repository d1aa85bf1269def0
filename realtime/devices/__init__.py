"""Cameras, microphones and loudspeakers of this machine, and the camera and microphone that lipline adds to them."""
