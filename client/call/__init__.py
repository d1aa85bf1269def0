"""`lipline call`: join a room from a file or from camera and microphone."""
