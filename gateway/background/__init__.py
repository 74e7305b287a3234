"""What runs beside the requests: the outbox, the engines, housekeeping, news from other processes."""
