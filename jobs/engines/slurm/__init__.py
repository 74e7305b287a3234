"""The engine for clusters that Slurm schedules."""
