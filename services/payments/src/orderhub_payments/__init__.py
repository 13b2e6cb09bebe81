"""OrderHub payments service."""
