"""What sessions cost: devices that tell of events, and who follows them."""
