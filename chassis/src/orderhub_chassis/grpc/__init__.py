"""gRPC on both ends: deadlines, caller tokens, traces, metrics, and failures that keep their type."""

from __future__ import annotations

from typing import Final

MAX_MESSAGE: Final = 24 * 1024 * 1024
"""Bytes of one message, either way. Here, where a settings class can have it without loading gRPC."""

KEEPALIVE_MS: Final = 20_000
"""After so long without a word a peer's host is asked whether it lives, and given up after as long again."""
