"""The bus: two adapters, one contract (`base.Bus`)."""
