"""The SQL of auth's writes, a file for each kind of thing."""
