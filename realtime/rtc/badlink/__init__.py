"""A bad network made to order: rate, queue, delay, jitter and loss, seeded."""
