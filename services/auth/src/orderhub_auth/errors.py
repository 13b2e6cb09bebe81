"""How auth refuses, with the stable codes that clients rely on."""

from __future__ import annotations

import math
from datetime import timedelta

from orderhub_chassis.errors import (
    Conflict,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
)


class WrongCredentials(Unauthenticated):
    """One answer for an unknown address and for a wrong password."""

    code = "auth.wrong_credentials"

    def __init__(self) -> None:
        super().__init__("the e-mail address or the password is wrong")


class MfaRequired(Unauthenticated):
    """The password is right and not enough: `mfa_token` stands for it in the second step."""

    code = "auth.mfa_required"

    def __init__(self, mfa_token: str) -> None:
        words = "a second factor is needed: send a code to auth/mfa/verify"
        super().__init__(words, members={"mfa_token": mfa_token})


class MfaTokenRefused(Unauthenticated):
    """Unknown, used, too late, guessed at too often, or the password is another one: the client is told the same."""

    code = "auth.mfa_token_refused"

    def __init__(self) -> None:
        super().__init__("this login is not open any more: log in again")


class SecondFactorMissing(Unauthenticated):
    """A session from before its user had a second factor."""

    code = "auth.second_factor_missing"

    def __init__(self) -> None:
        super().__init__("this user has a second factor: log in again with it")


class WrongCode(Invalid):
    """Of the app or a recovery code; which of the reasons it is, a guesser need not know."""

    code = "auth.wrong_code"

    def __init__(self) -> None:
        pointer, words = "/code", "is wrong, or was used already"
        super().__init__(f"{pointer}: {words}", errors=(FieldError(pointer, "wrong", words),))


class CodesTooFast(RateLimited):
    """Recovery codes go on: nobody guesses one of those."""

    code = "auth.codes_too_fast"

    def __init__(self, wait: timedelta) -> None:
        words = "there were too many wrong codes: wait, or use a recovery code"
        super().__init__(words, retry_after=math.ceil(wait.total_seconds()))


class MfaAlreadyEnabled(Conflict):
    code = "auth.mfa_enabled"

    def __init__(self) -> None:
        super().__init__("this user has an authenticator already: disable it first")


class MfaNotEnabled(Conflict):
    code = "auth.mfa_not_enabled"

    def __init__(self) -> None:
        super().__init__("this user has no second factor")


class NothingToConfirm(Conflict):
    code = "auth.mfa_not_enrolled"

    def __init__(self) -> None:
        super().__init__("there is no authenticator to be confirmed, or it is too late for it: enrol again")


class PasswordNeeded(Invalid):
    """The login was too long ago to stand for the one whose session it is."""

    code = "auth.password_needed"

    def __init__(self) -> None:
        pointer, words = "/current_password", "is needed, as the login was a while ago"
        super().__init__(f"{pointer}: {words}", errors=(FieldError(pointer, "required", words),))


class SecretStaysSealed(Unavailable):
    code = "auth.secret_stays_sealed"

    def __init__(self) -> None:
        super().__init__("a secret was sealed with another key-encryption key than auth has")


class GuessedTooOften(RateLimited):
    """Before anybody looks at the password, and for unknown addresses as well."""

    code = "auth.guessed_too_often"

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many wrong passwords: wait before the next one", retry_after=retry_after)


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


class ApiKeyNotFound(NotFound):
    """Another vendor's, or none at all: the caller is told the same."""

    code = "auth.api_key_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such API key")


class VendorNotFound(NotFound):
    """Another one than the caller's own."""

    code = "auth.vendor_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such vendor")


class ApiKeyRevoked(Conflict):
    code = "auth.api_key_revoked"

    def __init__(self) -> None:
        super().__init__("the API key is revoked, and stays so")


class TooManyApiKeys(Conflict):
    code = "auth.too_many_api_keys"

    def __init__(self, most: int) -> None:
        super().__init__(f"a vendor may have {most} live API keys: revoke one first")


class MakerUnknown(Forbidden):
    """A user of another issuer: nobody would tell us when it is disabled there."""

    code = "auth.maker_unknown"

    def __init__(self) -> None:
        super().__init__("API keys are made by users of this installation's own; ask an operator for one")
