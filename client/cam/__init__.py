"""`lipline cam`: a camera and a microphone for any program."""
