"""What `lipline cam` costs and keeps, mode by mode and over long runs."""
