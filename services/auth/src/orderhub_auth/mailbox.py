"""The mails of a demo, as files: until something sends them, and only where nobody's real mail is meant.

Reads what auth announces from the bus, as a group of its own. `orderhub up` names the folder where all parts are its own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from orderhub_chassis.bus.base import Consumer
from orderhub_chassis.bus.following import follow
from orderhub_chassis.db import Database
from orderhub_contracts.events.v1 import events_pb2 as events
from orderhub_contracts.events.v1 import mfa_pb2 as mfa
from orderhub_contracts.events.v1.records_pb2 import Record

from orderhub_auth import queries

GROUP: Final = "mailbox"
MOST: Final = 200
POLL_SECONDS: Final = 5.0
SENDER: Final = "OrderHub <noreply@orderhub.example>"
RESET: Final = """\
Somebody asked for a new password for your account. If that was you, choose one with this code until {expires_at}:

    {code}

    POST {url}/api/v1/auth/password/reset/confirm
    {{"code": "{code}", "new_password": "..."}}

If it was not you, do nothing: your password stays as it is.
"""
VERIFY: Final = """\
Show that this is your address with this code until {expires_at}:

    {code}

    POST {url}/api/v1/auth/email/verify/confirm
    {{"code": "{code}"}}

If you have no account here, do nothing: somebody has typed your address.
"""
ATTEMPT: Final = """\
Somebody tried to register with your address. You have an account already. If it was you and you do not know its password any
more, ask for another one:

    POST {url}/api/v1/auth/password/reset/request
    {{"email": "{email}"}}

If it was not you, do nothing: nobody has learned that you have an account.
"""
CHANGED: Final = """\
The password of your account was changed, and its other sessions have ended. If it was not you, ask for another one at once:

    POST {url}/api/v1/auth/password/reset/request
    {{"email": "{email}"}}
"""
GUARDED: Final = """\
From now on logging in takes a code of your authenticator app. Keep the recovery codes where you find them without your phone.

If it was not you, ask an operator to switch it off, and choose another password.
"""
UNGUARDED: Final = """\
Logging in takes your password alone from now on. If you did not ask for that, choose another password at once:

    POST {url}/api/v1/auth/password/reset/request
    {{"email": "{email}"}}
"""
RECOVERED: Final = """\
Somebody logged in with a recovery code of yours. {left} are left. If it was not you, choose another password, and get new codes:

    POST {url}/api/v1/auth/mfa/recovery-codes
"""
REPLACED: Final = """\
You have new recovery codes, and the old ones are void. If it was not you, choose another password at once.
"""
GUESSED: Final = """\
Somebody has your password and tried wrong codes after it, too many of them to go on at once. If it was not you, choose another
password:

    POST {url}/api/v1/auth/password/reset/request
    {{"email": "{email}"}}
"""
MAILS: Final[dict[type[Any], tuple[str, str]]] = {
    events.PasswordResetRequested: ("A new password", RESET),
    events.EmailVerificationRequested: ("Is this your address?", VERIFY),
    events.RegistrationAttempted: ("You have an account already", ATTEMPT),
    events.PasswordChanged: ("Your password was changed", CHANGED),
    mfa.MfaEnabled: ("Your account has a second factor", GUARDED),
    mfa.MfaDisabled: ("Your account has no second factor any more", UNGUARDED),
    mfa.RecoveryCodeUsed: ("A recovery code was used", RECOVERED),
    mfa.RecoveryCodesReplaced: ("You have new recovery codes", REPLACED),
    mfa.SecondFactorGuessed: ("Somebody has your password", GUESSED),
}
BY_NAME: Final = {kind.DESCRIPTOR.full_name: kind for kind in MAILS}


@dataclass(frozen=True, slots=True)
class Mailbox:
    """`url` is where the mails send their readers."""

    folder: Path
    consumer: Consumer
    db: Database
    url: str

    async def deliver(self) -> bool:
        """Write what has been announced. A mail that comes again gets the same name, and so is no second one."""
        return await follow(self.consumer, self._write_down, seconds=POLL_SECONDS)

    async def _write_down(self, records: Sequence[Record]) -> None:
        announced = [record for record in records if record.type in BY_NAME]
        mails = {name_of(record): mail for record in announced if (mail := await self._mail(record))}
        if mails:
            self._keep(mails)

    async def _mail(self, record: Record) -> EmailMessage | None:
        """None where its user is not there any more."""
        kind = BY_NAME[record.type]
        event = kind.FromString(record.payload)
        fields = {field.name: getattr(event, field.name) for field in kind.DESCRIPTOR.fields}
        user = await queries.user_by_id(self.db, UUID(event.user_id))
        if user is None:
            return None
        subject, words = MAILS[kind]
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = SENDER, user.email, subject
        mail["Date"] = format_datetime(self.db.clock.now())
        mail["Message-ID"] = f"<{record.id}@orderhub.example>"
        mail.set_content(words.format(**{"email": user.email, "url": self.url, **fields}))
        return mail

    def _keep(self, mails: dict[str, EmailMessage]) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, mail in mails.items():
            _write(self.folder / name, mail.as_bytes())
        for old in sorted(self.folder.glob("*.eml"))[:-MOST]:
            old.unlink(missing_ok=True)


def name_of(record: Record) -> str:
    """By its id, which begins with its time: names in order are mails in order."""
    return f"{record.id}.eml"


def _write(path: Path, content: bytes) -> None:
    """For its owner's eyes, and never half of it: codes are as good as passwords."""
    half = path.with_suffix(".part")
    with contextlib.suppress(FileNotFoundError):
        half.unlink()
    with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    half.replace(path)
