"""The operations of the API and one pure decision for each over loaded state, idempotency and faults included."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Any, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from orderhub_simulator import errors, faults, model
from orderhub_simulator.faults import Fault
from orderhub_simulator.model import Authorization, Refund

# 2**53 - 1: the largest integer that every JSON reader keeps exact.
Amount = Annotated[int, Meta(gt=0, le=9_007_199_254_740_991)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
Key = Annotated[str, Meta(pattern=r"^[!-~]{1,255}\Z")]
# No control characters: PostgreSQL stores no NUL, and the others only hide differences.
Reference = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,255}\Z")]
Token = Annotated[str, Meta(max_length=64)]


class AuthorizeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    amount_minor: Amount
    currency: Currency
    token: Token
    reference: Reference


class CaptureBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    amount_minor: Amount


class VoidBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class RefundBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    amount_minor: Amount
    reference: Reference


class Authorize(AuthorizeBody, frozen=True, kw_only=True, tag_field="op", tag="authorize"):
    key: Key


class Capture(CaptureBody, frozen=True, kw_only=True, tag_field="op", tag="capture"):
    key: Key
    authorization_id: UUID


class Void(VoidBody, frozen=True, kw_only=True, tag_field="op", tag="void"):
    key: Key
    authorization_id: UUID


class RefundCaptured(RefundBody, frozen=True, kw_only=True, tag_field="op", tag="refund"):
    key: Key
    authorization_id: UUID


class Lookup(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="lookup"
):
    """Asks what became of a key; changes nothing."""

    key: Key


Change: TypeAlias = Authorize | Capture | Void | RefundCaptured
Operation: TypeAlias = Change | Lookup
NAMES: dict[type[Operation], str] = {
    Authorize: "authorize",
    Capture: "capture",
    Void: "void",
    RefundCaptured: "refund",
    Lookup: "lookup",
}


class Answer(msgspec.Struct, frozen=True):
    """`body` is JSON, sent as it stands; `replayed` marks an answer that was stored by an earlier call."""

    http_status: int
    body: bytes
    replayed: bool = False


class Record(msgspec.Struct, frozen=True):
    """What is kept under an idempotency key; without an answer nothing has happened yet."""

    key: str
    op: str
    fingerprint: bytes
    attempts: int
    answer: Answer | None


class AuthorizationView(msgspec.Struct, frozen=True):
    id: UUID
    status: model.Status
    decline_code: str | None
    amount_minor: int
    currency: str
    captured_minor: int
    refunded_minor: int
    reference: str


class RefundView(msgspec.Struct, frozen=True):
    id: UUID
    amount_minor: int
    reference: str


class RefundedView(AuthorizationView, frozen=True, kw_only=True):
    refund: RefundView


class OperationView(msgspec.Struct, frozen=True):
    key: str
    op: str
    http_status: int
    body: msgspec.Raw


class Book:
    """Everything a batch has loaded, and what it changed: each row once, with its last state."""

    def __init__(self, records: Iterable[Record], authorizations: Iterable[Authorization]) -> None:
        self.records = {record.key: record for record in records}
        self.authorizations = {held.id: held for held in authorizations}
        self._known_keys = frozenset(self.records)
        self._known_ids = frozenset(self.authorizations)
        self._touched_keys: set[str] = set()
        self._touched_ids: set[UUID] = set()
        self.new_refunds: list[Refund] = []

    def keep(self, record: Record) -> None:
        self.records[record.key] = record
        self._touched_keys.add(record.key)

    def put(self, held: Authorization) -> None:
        self.authorizations[held.id] = held
        self._touched_ids.add(held.id)

    @property
    def new_records(self) -> list[Record]:
        return [self.records[key] for key in sorted(self._touched_keys - self._known_keys)]

    @property
    def changed_records(self) -> list[Record]:
        return [self.records[key] for key in sorted(self._touched_keys & self._known_keys)]

    @property
    def new_authorizations(self) -> list[Authorization]:
        return [self.authorizations[key] for key in sorted(self._touched_ids - self._known_ids)]

    @property
    def changed_authorizations(self) -> list[Authorization]:
        return [self.authorizations[key] for key in sorted(self._touched_ids & self._known_ids)]


def decide(operation: Operation, book: Book, *, now: datetime, new_id: Callable[[], UUID]) -> Answer:
    """The answer to one operation; its effects go into the book."""
    record = book.records.get(operation.key)
    if isinstance(operation, Lookup):
        return _tell(record)
    fingerprint = _fingerprint(operation)
    if record is None:
        record = Record(operation.key, NAMES[type(operation)], fingerprint, 0, None)
    if record.fingerprint != fingerprint:
        return refusal(errors.KeyReused())
    if record.answer is not None:
        return msgspec.structs.replace(record.answer, replayed=True)
    return _attempt(operation, record, book, now=now, new_id=new_id)


def refusal(error: errors.ProviderError) -> Answer:
    return Answer(error.http_status, error.body())


def _tell(record: Record | None) -> Answer:
    if record is None or record.answer is None:
        return refusal(errors.OperationUnknown())
    told = OperationView(record.key, record.op, record.answer.http_status, msgspec.Raw(record.answer.body))
    return Answer(200, msgspec.json.encode(told))


def _fingerprint(operation: Change) -> bytes:
    return hashlib.blake2b(msgspec.json.encode(operation), digest_size=16).digest()


def _attempt(
    operation: Change, record: Record, book: Book, *, now: datetime, new_id: Callable[[], UUID]
) -> Answer:
    """Only definite answers are kept: after a transient one the same key runs again."""
    fault = faults.fault_for(_token(operation, book), record.op, record.attempts)
    if fault is Fault.UNAVAILABLE:
        book.keep(msgspec.structs.replace(record, attempts=record.attempts + 1))
        return refusal(errors.SimulatedOutage())
    answer = _perform(operation, book, now=now, new_id=new_id)
    book.keep(msgspec.structs.replace(record, answer=answer))
    return refusal(errors.TimedOut()) if fault is Fault.TIMEOUT else answer


def _token(operation: Change, book: Book) -> str | None:
    if isinstance(operation, Authorize):
        return operation.token
    held = book.authorizations.get(operation.authorization_id)
    return held.token if held else None


def _perform(operation: Change, book: Book, *, now: datetime, new_id: Callable[[], UUID]) -> Answer:
    try:
        view = HANDLERS[type(operation)](operation, book, now=now, new_id=new_id)
    except errors.ProviderError as error:
        return refusal(error)
    return Answer(200, msgspec.json.encode(view))


def _authorize(
    operation: Authorize, book: Book, *, now: datetime, new_id: Callable[[], UUID]
) -> AuthorizationView:
    card = faults.CARDS.get(operation.token)
    if card is None:
        raise errors.UnknownToken
    held = Authorization(
        id=new_id(),
        token=operation.token,
        reference=operation.reference,
        amount_minor=operation.amount_minor,
        currency=operation.currency,
        status="declined" if card.decline_code else "authorized",
        decline_code=card.decline_code,
        captured_minor=0,
        refunded_minor=0,
        created_at=now,
        updated_at=now,
    )
    book.put(held)
    return view_of(held)


def _capture(
    operation: Capture, book: Book, *, now: datetime, new_id: Callable[[], UUID]
) -> AuthorizationView:
    held = model.capture(_held(operation.authorization_id, book), operation.amount_minor, now=now)
    book.put(held)
    return view_of(held)


def _void(operation: Void, book: Book, *, now: datetime, new_id: Callable[[], UUID]) -> AuthorizationView:
    held = model.void(_held(operation.authorization_id, book), now=now)
    book.put(held)
    return view_of(held)


def _refund(
    operation: RefundCaptured, book: Book, *, now: datetime, new_id: Callable[[], UUID]
) -> RefundedView:
    held = model.refund(_held(operation.authorization_id, book), operation.amount_minor, now=now)
    made = Refund(new_id(), held.id, operation.amount_minor, operation.reference, now)
    book.put(held)
    book.new_refunds.append(made)
    refund = RefundView(made.id, made.amount_minor, made.reference)
    return RefundedView(**msgspec.structs.asdict(view_of(held)), refund=refund)


# The provider's spec in one table: which decision each operation meets.
HANDLERS: dict[type[Change], Callable[..., Any]] = {
    Authorize: _authorize,
    Capture: _capture,
    Void: _void,
    RefundCaptured: _refund,
}


def _held(authorization_id: UUID, book: Book) -> Authorization:
    held = book.authorizations.get(authorization_id)
    if held is None:
        raise errors.AuthorizationNotFound
    return held


def view_of(held: Authorization) -> AuthorizationView:
    return AuthorizationView(
        held.id,
        held.status,
        held.decline_code,
        held.amount_minor,
        held.currency,
        held.captured_minor,
        held.refunded_minor,
        held.reference,
    )
