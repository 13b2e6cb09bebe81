"""OrderHub gateway service."""
