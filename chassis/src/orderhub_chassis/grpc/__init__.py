"""gRPC on both ends: deadlines, caller tokens, traces, metrics, and failures that keep their type."""
