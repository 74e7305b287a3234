"""Work beside the requests: sending mail, running jobs, housekeeping, and changes from other processes."""
