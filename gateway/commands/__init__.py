"""The commands of `torana`, beside those in `gateway.cli`, and what they share."""
