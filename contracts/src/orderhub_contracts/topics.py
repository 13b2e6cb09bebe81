"""The one table of topics: which messages travel on which topic, by what key, for how long.

The partition of a message is murmur2(key) mod `partitions`. The number of partitions of a topic never
changes: more partitions are a new version of the topic.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from google.protobuf.message import Message

from orderhub_contracts.delivery.v1 import commands_pb2 as delivery
from orderhub_contracts.events.v1 import events_pb2 as events
from orderhub_contracts.events.v1 import keys_pb2 as keys
from orderhub_contracts.events.v1 import mfa_pb2 as mfa
from orderhub_contracts.events.v1 import records_pb2 as records
from orderhub_contracts.inventory.v1 import commands_pb2 as inventory
from orderhub_contracts.logs.v1 import logs_pb2 as logs
from orderhub_contracts.orders.v1 import replies_pb2 as replies
from orderhub_contracts.payments.v1 import commands_pb2 as payments

PARTITIONS: Final = 12
MAX_MESSAGE_BYTES: Final = 900 * 1024
"""Below the 1 MiB that a Kafka broker takes by default, with room for headers."""


@dataclass(frozen=True, slots=True, eq=False)
class Topic:
    """One row of the table, equal to itself alone. `key` names the field of every message that decides the partition."""

    name: str
    messages: tuple[type[Message], ...]
    key: str
    retention: timedelta
    partitions: int = PARTITIONS


INVENTORY_COMMANDS: Final = Topic(
    "inventory.commands.v1",
    (inventory.ReserveStock, inventory.CommitStock, inventory.ReleaseStock, inventory.ExtendReservation),
    "order_id",
    timedelta(days=7),
)
PAYMENTS_COMMANDS: Final = Topic(
    "payments.commands.v1",
    (payments.AuthorizePayment, payments.CapturePayment, payments.ReversePayment),
    "order_id",
    timedelta(days=7),
)
DELIVERY_COMMANDS: Final = Topic(
    "delivery.commands.v1",
    (
        delivery.PlanDelivery,
        delivery.BookDelivery,
        delivery.ReleaseDelivery,
        delivery.CancelBooking,
        delivery.StopDelivery,
    ),
    "order_id",
    timedelta(days=7),
)
ORDERS_REPLIES: Final = Topic(
    "orders.replies.v1",
    (replies.SagaReply, replies.CommandDeadLettered, inventory.ReservationDue),
    "order_id",
    timedelta(days=7),
)
ORDERS_EVENTS: Final = Topic("orders.events.v1", (events.OrderEvent,), "order_id", timedelta(days=30))
PAYMENTS_EVENTS: Final = Topic("payments.events.v1", (events.PaymentChanged,), "order_id", timedelta(days=30))
DELIVERY_EVENTS: Final = Topic(
    "delivery.events.v1", (events.DeliveryChanged,), "order_id", timedelta(days=30)
)
INVENTORY_EVENTS: Final = Topic(
    "inventory.events.v1",
    (events.VendorChanged, events.ProductChanged, events.AnimalChanged),
    "vendor_id",
    timedelta(days=30),
)
AUTH_EVENTS: Final = Topic(
    "auth.events.v1",
    (
        events.UserRegistered,
        events.PasswordChanged,
        events.PasswordResetRequested,
        events.EmailVerificationRequested,
        mfa.MfaEnabled,
        mfa.MfaDisabled,
        mfa.RecoveryCodeUsed,
        mfa.RecoveryCodesReplaced,
        mfa.SecondFactorGuessed,
        events.RegistrationAttempted,
        keys.SigningKeyRotated,
    ),
    "user_id",
    timedelta(days=30),
)
LOGS: Final = Topic("logs.v1", (logs.LogRecord,), "instance", timedelta(days=3))


def dead_letter_topic(consumer: str) -> Topic:
    """The topic that carries what `consumer` has given up; keyed like the message that failed."""
    return Topic(f"{consumer}.dlq.v1", (records.MessageDeadLettered,), "record.key", timedelta(days=30))


READERS: Final[dict[str, tuple[Topic, ...]]] = {
    "orders": (ORDERS_REPLIES, PAYMENTS_EVENTS, DELIVERY_EVENTS, INVENTORY_EVENTS),
    "inventory": (INVENTORY_COMMANDS,),
    "payments": (PAYMENTS_COMMANDS,),
    "delivery": (DELIVERY_COMMANDS,),
}
"""Consumer group → the topics that it reads. A group is named like its service, and has a dead-letter topic of its own."""

CONSUMERS: Final = tuple(READERS)

DEAD_LETTERS: Final = {name: dead_letter_topic(name) for name in CONSUMERS}

TOPICS: Final[tuple[Topic, ...]] = (
    INVENTORY_COMMANDS,
    PAYMENTS_COMMANDS,
    DELIVERY_COMMANDS,
    ORDERS_REPLIES,
    ORDERS_EVENTS,
    PAYMENTS_EVENTS,
    DELIVERY_EVENTS,
    INVENTORY_EVENTS,
    AUTH_EVENTS,
    LOGS,
    *DEAD_LETTERS.values(),
)

TOPIC_OF: Final[dict[type[Message], Topic]] = {
    message: topic
    for topic in TOPICS
    for message in topic.messages
    if message is not records.MessageDeadLettered
}
MESSAGE_OF: Final[dict[str, type[Message]]] = {
    message.DESCRIPTOR.full_name: message for topic in TOPICS for message in topic.messages
}
BY_NAME: Final[dict[str, Topic]] = {topic.name: topic for topic in TOPICS}
