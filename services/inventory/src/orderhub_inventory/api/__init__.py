"""Inventory's gRPC side: decode, authorise, call, encode."""
