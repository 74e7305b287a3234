"""The life of jobs and tasks in rows, whatever they run."""
