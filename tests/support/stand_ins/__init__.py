"""Stand-ins for simulation programs: they are called, speak and write as the real ones do, and simulate nothing."""
