"""OrderHub orders service."""
