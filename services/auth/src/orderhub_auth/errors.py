"""How auth refuses, with the stable codes that clients rely on."""

from __future__ import annotations

from orderhub_chassis.errors import (
    Conflict,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
)


class WrongCredentials(Unauthenticated):
    """One answer for an unknown address and for a wrong password."""

    code = "auth.wrong_credentials"

    def __init__(self) -> None:
        super().__init__("the e-mail address or the password is wrong")


class UserDisabled(Forbidden):
    code = "auth.user_disabled"

    def __init__(self) -> None:
        super().__init__("this user is disabled")


class UserLocked(Forbidden):
    """By an operator, for a while; the end of it is the operator's to tell."""

    code = "auth.user_locked"

    def __init__(self) -> None:
        super().__init__("this user is locked for a while")


class RefreshRefused(Unauthenticated):
    """Unknown, expired, revoked or stolen: the client is told the same."""

    code = "auth.refresh_refused"

    def __init__(self) -> None:
        super().__init__("the refresh token is not valid any more: log in again")


class WrongPassword(Invalid):
    """Not a 401: the caller is who it is, and its access token is fine."""

    code = "auth.wrong_password"

    def __init__(self) -> None:
        pointer, words = "/current_password", "is not the password of this user"
        super().__init__(f"{pointer}: {words}", errors=(FieldError(pointer, "wrong", words),))


class CodeRefused(Invalid):
    """Unknown, used, followed by a newer one, for something else or too late: the client is told the same."""

    code = "auth.code_refused"

    def __init__(self) -> None:
        pointer, words = "/code", "is not valid any more: ask for a new one"
        super().__init__(f"{pointer}: {words}", errors=(FieldError(pointer, "refused", words),))


class PasswordJustChanged(Conflict):
    code = "auth.password_just_changed"

    def __init__(self) -> None:
        super().__init__("the password was changed by another request meanwhile")


class SessionNotFound(NotFound):
    """Another user's, an ended one, or none at all: the caller is told the same."""

    code = "auth.session_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such session")


class EmailTaken(Conflict):
    code = "auth.email_taken"

    def __init__(self) -> None:
        super().__init__("there is a user with this e-mail address already")


class UserNotFound(NotFound):
    code = "auth.user_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such user")


class LastOperator(Conflict):
    """Nobody would be left to undo it."""

    code = "auth.last_operator"

    def __init__(self) -> None:
        super().__init__("this is the last operator: make another one first")


class KeysNotRead(Unavailable):
    """Who signed now might sign with a key whose time is over."""

    code = "auth.keys_not_read"

    def __init__(self) -> None:
        super().__init__("the signing keys could not be read for too long", retry_after=1)


class KeyStaysSealed(Unavailable):
    code = "auth.key_stays_sealed"

    def __init__(self, kid: str) -> None:
        super().__init__(
            f"signing key {kid} was sealed with another secret than ORDERHUB_AUTH_KEY_ENCRYPTION_KEY and"
            " ORDERHUB_AUTH_FORMER_KEY_ENCRYPTION_KEYS name"
        )


class PasswordsBusy(Unavailable):
    code = "auth.busy"

    def __init__(self) -> None:
        super().__init__("too many logins at once", retry_after=1)
