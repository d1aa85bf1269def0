"""Every figure that is claimed of lipline, and the command that makes it again."""
