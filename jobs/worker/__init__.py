"""What runs one task: it fetches it, starts its program, reports, delivers."""
