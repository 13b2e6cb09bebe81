"""Protobuf contracts and the topic table."""
