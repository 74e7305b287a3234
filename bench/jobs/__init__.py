"""What jobs cost, measured."""
