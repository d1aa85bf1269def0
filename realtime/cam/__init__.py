"""The local call: this machine's camera and microphone in, a virtual camera and a virtual microphone out."""
