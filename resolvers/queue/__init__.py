"""The rows of jobs and tasks: their states, leases and reports, for jobs of every kind."""
