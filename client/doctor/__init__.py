"""`lipline doctor`: what this machine can do, what is missing, and the command that sets it up."""
