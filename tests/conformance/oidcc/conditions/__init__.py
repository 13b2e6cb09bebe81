"""What the modules check, one function for each condition; a condition that does not hold raises AssertionError."""
