"""A payment, what is asked of the provider for it, and its transitions. Pure: no I/O, clock or ids inside."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from orderhub_payments.errors import IllegalTransition, RefundExceedsCaptured


class Status(StrEnum):
    PENDING = "PENDING"
    AUTHORIZED = "AUTHORIZED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"
    DECLINED = "DECLINED"
    FAILED = "FAILED"


REFUNDABLE: Final = frozenset({Status.CAPTURED, Status.PARTIALLY_REFUNDED})
"""Money is with us. A refund that is on its way does not change the status, only what is left to refund."""


ENDED: Final = frozenset({Status.VOIDED, Status.REFUNDED, Status.DECLINED, Status.FAILED})
"""No money is held or can move any more."""


class Kind(StrEnum):
    """What an intent asks for. REVERSE is decided when it is its turn: void, refund the rest, or nothing."""

    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    REVERSE = "reverse"


UNDOING: Final = frozenset({Kind.VOID, Kind.REFUND, Kind.REVERSE})


class Stage(StrEnum):
    """WAITING behind another intent, PENDING with the provider, DONE or FAILED by a definite answer."""

    WAITING = "waiting"
    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class Payment(msgspec.Struct):
    """One order's payment. Money is in the currency's minor unit."""

    id: UUID
    order_id: UUID
    customer_id: UUID
    vendor_id: UUID
    currency: str
    amount: int
    provider: str
    status: Status = Status.PENDING
    authorized: int = 0
    captured: int = 0
    refunded: int = 0
    refund_pending: int = 0
    provider_ref: str = ""
    reason_code: str = ""
    version: int = 1
    changed: bool = False

    @property
    def refundable(self) -> int:
        return self.captured - self.refunded - self.refund_pending

    def authorize(self, provider_ref: str) -> None:
        self._leave({Status.PENDING}, Status.AUTHORIZED)
        self.authorized, self.provider_ref = self.amount, provider_ref

    def decline(self, provider_ref: str, code: str) -> None:
        self._leave({Status.PENDING}, Status.DECLINED)
        self.provider_ref, self.reason_code = provider_ref, code

    def fail(self, code: str) -> None:
        self._leave({Status.PENDING}, Status.FAILED)
        self.reason_code = code

    def capture(self) -> None:
        self._leave({Status.AUTHORIZED}, Status.CAPTURED)
        self.captured = self.authorized

    def void(self) -> None:
        self._leave({Status.AUTHORIZED}, Status.VOIDED)

    def keep(self, code: str) -> None:
        """The provider refused to capture or to void: still authorized, and it is written down why."""
        self._leave({Status.AUTHORIZED}, Status.AUTHORIZED)
        self.reason_code = code

    def grant_refund(self, amount: int) -> None:
        """Set the amount aside; whatever else is asked from now on cannot have it."""
        self._leave(REFUNDABLE, self.status)
        if not 0 < amount <= self.refundable:
            raise RefundExceedsCaptured(f"{amount} of {self.refundable} that can still be refunded")
        self.refund_pending += amount

    def settle_refund(self, amount: int) -> None:
        self._end_refund(amount)
        self.refunded += amount
        self.status = Status.REFUNDED if self.refunded == self.captured else Status.PARTIALLY_REFUNDED

    def return_refund(self, amount: int) -> None:
        """The provider refused: the amount can be refunded again."""
        self._end_refund(amount)

    def _end_refund(self, amount: int) -> None:
        self._leave(REFUNDABLE, self.status)
        if not 0 < amount <= self.refund_pending:
            raise IllegalTransition(f"payment {self.id}: no refund of {amount} is under way")
        self.refund_pending -= amount

    def _leave(self, allowed: set[Status] | frozenset[Status], to: Status) -> None:
        if self.status not in allowed:
            raise IllegalTransition(f"payment {self.id} is {self.status} and cannot become {to} by this")
        self.status = to
        self.version += 1
        self.changed = True


class Intent(msgspec.Struct):
    """One effect outside: asked under `provider_key` until the answer is definite."""

    id: UUID
    payment_id: UUID
    order_id: UUID
    kind: Kind
    amount: int
    provider_key: str
    saga: bytes
    traceparent: str
    stage: Stage
    next_attempt_at: datetime
    token: str = ""
    reason: str = ""
    refund_id: UUID | None = None
    attempts: int = 0
    lease_owner: str = ""
    lease_until: datetime | None = None
    told_unknown: bool = False
    problem: str = ""
    created_at: datetime | None = None
    changed: bool = False
    started: bool = False
    """True when this transaction took it from waiting to pending."""

    @property
    def ended(self) -> bool:
        return self.stage in (Stage.DONE, Stage.FAILED)

    def start(self, kind: Kind, amount: int) -> None:
        """Its turn has come."""
        self._leave(Stage.WAITING, Stage.PENDING)
        self.kind, self.amount, self.started = kind, amount, True

    def skip(self) -> None:
        """Its turn has come and there is nothing to do."""
        self._leave(Stage.WAITING, Stage.DONE)

    def succeed(self) -> None:
        self._leave(Stage.PENDING, Stage.DONE)
        self.token, self.problem = "", ""

    def fail(self, problem: str) -> None:
        self._leave(Stage.PENDING, Stage.FAILED)
        self.token, self.problem = "", problem

    def retry(self, at: datetime, problem: str) -> None:
        """Not definite: the same key again, later, by anyone."""
        self._leave(Stage.PENDING, Stage.PENDING)
        self.next_attempt_at, self.lease_until, self.problem = at, None, problem

    def lease(self, owner: str, until: datetime) -> None:
        self.attempts += 1
        self.lease_owner, self.lease_until = owner, until

    def _leave(self, expected: Stage, to: Stage) -> None:
        if self.stage is not expected:
            raise IllegalTransition(f"intent {self.id} is {self.stage}, not {expected}")
        self.stage = to
        self.changed = True


class Refund(msgspec.Struct, frozen=True):
    """A refund that was granted; `status` is pending, succeeded or failed."""

    id: UUID
    payment_id: UUID
    order_id: UUID
    amount: int
    currency: str
    reason: str
    requested_by: str
    status: str = "pending"


# What is asked of a provider.


class Asked(msgspec.Struct, frozen=True):
    """How often this was asked, this time included, and when it was decided; None where that is of no interest."""

    times: int = 1
    since: datetime | None = None


ONCE: Final = Asked()


class Authorize(msgspec.Struct, frozen=True):
    key: str
    amount: int
    currency: str
    token: str
    reference: str
    payment_id: str = ""
    asked: Asked = ONCE


class Capture(msgspec.Struct, frozen=True):
    key: str
    provider_ref: str
    amount: int
    currency: str = ""
    asked: Asked = ONCE


class Void(msgspec.Struct, frozen=True):
    key: str
    provider_ref: str
    asked: Asked = ONCE


class PayBack(msgspec.Struct, frozen=True):
    key: str
    provider_ref: str
    amount: int
    reference: str
    currency: str = ""
    payment_id: str = ""
    asked: Asked = ONCE


Operation: TypeAlias = Authorize | Capture | Void | PayBack


# What a provider answers.


class Authorized(msgspec.Struct, frozen=True):
    provider_ref: str


class Declined(msgspec.Struct, frozen=True):
    provider_ref: str
    code: str


class Captured(msgspec.Struct, frozen=True):
    pass


class Voided(msgspec.Struct, frozen=True):
    pass


class Refunded(msgspec.Struct, frozen=True):
    pass


class Rejected(msgspec.Struct, frozen=True):
    """Definite: the provider will never do this."""

    code: str


class Transient(msgspec.Struct, frozen=True):
    """Nothing has happened. `away`: the provider could not be reached at all; `wait`: seconds that it asks for."""

    reason: str
    away: bool = False
    wait: float = 0


class Unknown(msgspec.Struct, frozen=True):
    """It may have happened; the same key tells."""

    reason: str
    away: bool = False


Result: TypeAlias = Authorized | Declined | Captured | Voided | Refunded | Rejected | Transient | Unknown


def operation_of(intent: Intent, currency: str, provider_ref: str) -> Operation:
    """What to ask for a pending intent. The same intent always makes the same operation."""
    key = intent.provider_key
    match intent.kind:
        case Kind.AUTHORIZE:
            order, payment = str(intent.order_id), str(intent.payment_id)
            return Authorize(key, intent.amount, currency, intent.token, order, payment)
        case Kind.CAPTURE:
            return Capture(key, provider_ref, intent.amount, currency)
        case Kind.VOID:
            return Void(key, provider_ref)
        case Kind.REFUND:
            refund, payment = str(intent.refund_id), str(intent.payment_id)
            return PayBack(key, provider_ref, intent.amount, refund, currency, payment)
        case Kind.REVERSE:
            raise IllegalTransition(f"intent {intent.id} has not been decided yet")


def backoff(attempts: int, *, first: timedelta, longest: timedelta, roll: float) -> timedelta:
    """Doubles from `first` to `longest`; `roll` in [0, 1) spreads it over the upper half."""
    full = min(first * 2 ** min(attempts - 1, 20), longest)
    return full * (0.5 + roll / 2)
