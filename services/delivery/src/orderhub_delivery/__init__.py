"""OrderHub delivery service."""
