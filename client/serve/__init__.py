"""`lipline serve`: rooms with a node in each, and the call page."""
