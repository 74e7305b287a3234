"""What specs and the package index cost."""
