"""Mails of the demo: files in the data folder, and none where the product runs on servers."""

from __future__ import annotations

import secrets
from typing import Any


async def test_a_registration_is_mailed_into_the_data_folder_of_a_demo_alone(
    hub: Any, shop: Any, eventually: Any
) -> None:
    email = f"{secrets.token_hex(8)}@e2e.orderhub.example"
    user = {"email": email, "password": secrets.token_urlsafe(15)}
    assert (await shop.http.post("auth/register", json=user)).status_code == 202
    folder = hub.place.path / "mailbox"
    if hub.environment.get("ORDERHUB_DATABASE_URL"):
        assert not folder.exists()
        return

    async def mailed() -> bool:
        return any(f"To: {email}" in file.read_text() for file in folder.glob("*.eml"))

    assert await eventually(mailed)
