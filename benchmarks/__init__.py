"""Every figure that the README quotes, and the command that makes it again."""
