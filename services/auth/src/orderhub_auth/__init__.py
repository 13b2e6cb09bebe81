"""OrderHub auth service."""
