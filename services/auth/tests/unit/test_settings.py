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


WRONG = [
    pytest.param(
        {"FORMER_KEY_ENCRYPTION_KEYS": f"{'a' * 40} short"},
        "ORDERHUB_AUTH_FORMER_KEY_ENCRYPTION_KEYS: each must have at least 32 characters",
        id="a former secret that is short",
    ),
    pytest.param(
        {"KEY_RELOAD": "120"},
        "ORDERHUB_AUTH_KEY_RELOAD: must be below ORDERHUB_AUTH_KEY_MARGIN",
        id="keys that are read too seldom",
    ),
    pytest.param(
        {"KEY_ROTATION": "1740"},
        "ORDERHUB_AUTH_KEY_ROTATION: must be above 1740 seconds, which a change of keys takes",
        id="keys that follow each other too fast",
    ),
]


@pytest.mark.parametrize(("given", "words"), WRONG)
def test_times_of_keys_fit_together(
    given: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"ORDERHUB_AUTH_{name}", value)
    with pytest.raises(chassis.SettingsError) as refused:
        chassis.load(Settings, **NEEDED)
    assert str(refused.value) == words


def test_former_secrets_are_separated_by_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERHUB_AUTH_FORMER_KEY_ENCRYPTION_KEYS", f" {'a' * 40}  {'b,' * 20} ")
    loaded = chassis.load(Settings, **NEEDED)
    assert [one.get_secret_value() for one in loaded.former_key_encryption_keys] == ["a" * 40, "b," * 20]
    assert "aaaa" not in str(chassis.masked(loaded))
