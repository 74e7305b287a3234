"""Jobs at work: commanded, placed, run, reported on."""
