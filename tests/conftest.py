"""Fixtures of the tests that span services; their helpers are plain modules next to this file."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
