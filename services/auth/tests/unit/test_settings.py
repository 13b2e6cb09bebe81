"""What the settings of auth may not say."""

from __future__ import annotations

import pytest
from orderhub_auth.settings import MOST_MEMORY_KIB, Settings
from orderhub_chassis import settings as chassis

NEEDED = {
    "database_url": "postgresql://x", "redis_url": "redis://x", "bus": "postgresql://x", "internal_key": "i" * 32,
    "cursor_key": "c" * 32, "key_encryption_key": "k" * 32,
}  # fmt: skip


def test_a_password_hash_may_not_take_all_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERHUB_AUTH_ARGON2_MEMORY_KIB", str(MOST_MEMORY_KIB + 1))
    with pytest.raises(
        chassis.SettingsError, match=r"^ORDERHUB_AUTH_ARGON2_MEMORY_KIB: must be at most 4194304"
    ):
        chassis.load(Settings, **NEEDED)
