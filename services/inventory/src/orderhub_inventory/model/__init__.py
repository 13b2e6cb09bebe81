"""Inventory's rules on plain data: no I/O, no clock, no ids made here."""
