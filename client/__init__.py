"""What a person starts: the `lipline` command."""
