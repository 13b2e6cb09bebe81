"""The mails of a demo as files."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from orderhub_auth import mailbox
from orderhub_auth.app import build
from orderhub_auth.settings import Settings
from orderhub_auth.totp import FREE_GUESSES
from orderhub_chassis.clock import ManualClock
from orderhub_chassis.grpc import client
from orderhub_chassis.service import Surroundings
from orderhub_contracts.auth.v1 import auth_pb2 as pb
from orderhub_contracts.auth.v1.auth_pb2_grpc import AuthServiceStub
from second_steps import OPERATOR, Auth, refused

ADA, PASSWORD, NEW = "ada@example.org", "a password for tests", "another long password"
CODE = re.compile(r"^    ([\w-]{32})$", re.MULTILINE)


class Demo:
    def __init__(self, peer: client.Peer, clock: ManualClock, folder: Path, db: Any) -> None:
        self.peer, self.stub, self.clock, self.folder, self.db = (
            peer,
            AuthServiceStub(peer.channel),
            clock,
            folder,
            db,
        )

    async def __call__(self, method: str, **fields: Any) -> Any:
        return await self.peer.call(getattr(self.stub, method), getattr(pb, f"{method}Request")(**fields))

    def mails(self) -> list[EmailMessage]:
        files = sorted(self.folder.glob("*.eml")) if self.folder.exists() else []
        return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]

    def subjects(self) -> list[str]:
        return [mail["Subject"] for mail in self.mails()]

    def code(self) -> str:
        """Of the newest mail."""
        found = CODE.search(self.mails()[-1].get_content())
        assert found, self.mails()[-1]
        return found[1]


@pytest.fixture
async def demo(settings: Settings, tmp_path: Path) -> AsyncIterator[Demo]:
    clock, folder = ManualClock(), tmp_path / "mailbox"
    with_box = settings.model_copy(update={"mailbox": folder})
    async with build(with_box, Surroundings(clock=clock)) as service:
        address, tokens = f"127.0.0.1:{service.grpc_port}", service.chassis.tokens
        async with client.connect(address, tokens, timedelta(seconds=10)) as peer:
            yield Demo(peer, clock, folder, service.chassis.db)


async def has(demo: Demo, eventually: Any, *subjects: str) -> None:
    async def there() -> bool:
        return sorted(demo.subjects()) == sorted(subjects)

    assert await eventually(there), demo.subjects()


VERIFY, RESET = "Is this your address?", "A new password"
KNOWN, CHANGED = "You have an account already", "Your password was changed"


async def test_what_a_user_is_mailed_lies_there_and_its_codes_work(demo: Demo, eventually: Any) -> None:
    await demo("Register", email=ADA, password=PASSWORD, name="Ada")
    await has(demo, eventually, VERIFY)
    await demo("ConfirmEmailVerification", code=demo.code())
    await demo("Register", email=ADA, password=PASSWORD)
    await has(demo, eventually, VERIFY, KNOWN)
    await demo("RequestPasswordReset", email=ADA)
    await has(demo, eventually, VERIFY, KNOWN, RESET)
    await demo("ConfirmPasswordReset", code=demo.code(), new_password=NEW)
    await has(demo, eventually, VERIFY, KNOWN, RESET, CHANGED)
    assert (await demo("Login", email=ADA, password=NEW)).user.email_verified
    assert {mail["To"] for mail in demo.mails()} == {ADA}
    assert sorted(path.suffix for path in demo.folder.iterdir()) == [".eml"] * 4, (
        "nothing half written is left"
    )
    assert {path.stat().st_mode & 0o777 for path in demo.folder.iterdir()} == {0o600}


async def test_whoever_has_a_second_factor_hears_what_becomes_of_it(demo: Demo, eventually: Any) -> None:
    auth = Auth(demo, None)
    await auth.user(ADA)
    ada = await auth.as_(await auth.login())
    app, recovery = await auth.enrolled(ada)
    await auth.verify(await auth.step_up(), recovery[0])
    sure = {"current_password": PASSWORD, "code": recovery[1]}
    await auth("RenewRecoveryCodes", ada, **sure)
    token = await auth.step_up()
    for _ in range(FREE_GUESSES):
        await refused(auth.verify(token, app.wrong_code()))
    await auth("SwitchOffMfa", OPERATOR, user_id=ada.caller.user_id)
    on, off = "Your account has a second factor", "Your account has no second factor any more"
    used, new = "A recovery code was used", "You have new recovery codes"
    await has(demo, eventually, on, used, used, new, "Somebody has your password", off)
    told = [mail.get_content() for mail in demo.mails() if mail["Subject"] == used]
    assert ["9 are left" in told[0], "8 are left" in told[1]] == [True, True]
    assert not any(code in mail.get_content() for code in recovery for mail in demo.mails())


async def test_only_the_newest_are_kept(demo: Demo, eventually: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "MOST", 2)
    for number, subjects in enumerate(([VERIFY], [VERIFY] * 2, [VERIFY] * 2)):
        await demo("Register", email=f"{number}@example.org", password=PASSWORD)
        await has(demo, eventually, *subjects)

    async def newest() -> bool:
        return [mail["To"] for mail in demo.mails()] == ["1@example.org", "2@example.org"]

    assert await eventually(newest)
