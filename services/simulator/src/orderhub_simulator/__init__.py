"""The card provider's stand-in for development and tests: a party of its own, known to payments only."""
