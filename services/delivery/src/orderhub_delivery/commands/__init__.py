"""Pure decisions of the delivery service, one file per use case."""
