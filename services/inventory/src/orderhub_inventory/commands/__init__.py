"""Inventory's decisions: pure functions over loaded state."""
