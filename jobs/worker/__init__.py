"""The worker, which runs one task: it claims it, starts its program, reports, and delivers the results."""
