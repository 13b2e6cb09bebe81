"""Loading with locks, always in the order that the migration names, and saving set-wise."""
