"""Enrolment: a lite generator learns one person from minutes of video. See docs/design/training.md."""
