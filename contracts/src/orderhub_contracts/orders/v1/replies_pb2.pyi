from orderhub_contracts.common.v1 import common_pb2 as _common_pb2
from orderhub_contracts.delivery.v1 import commands_pb2 as _commands_pb2
from orderhub_contracts.inventory.v1 import commands_pb2 as _commands_pb2_1
from orderhub_contracts.payments.v1 import commands_pb2 as _commands_pb2_1_1
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_SUCCEEDED: _ClassVar[Outcome]
    OUTCOME_FAILED: _ClassVar[Outcome]
    OUTCOME_REFUSED: _ClassVar[Outcome]
    OUTCOME_HELD: _ClassVar[Outcome]
    OUTCOME_UNKNOWN: _ClassVar[Outcome]
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_SUCCEEDED: Outcome
OUTCOME_FAILED: Outcome
OUTCOME_REFUSED: Outcome
OUTCOME_HELD: Outcome
OUTCOME_UNKNOWN: Outcome

class SagaReply(_message.Message):
    __slots__ = ("order_id", "outcome", "reason", "transient", "delivery_planned", "delivery", "stock_reserved", "stock_committed", "stock_released", "payment")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TRANSIENT_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_PLANNED_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    STOCK_RESERVED_FIELD_NUMBER: _ClassVar[int]
    STOCK_COMMITTED_FIELD_NUMBER: _ClassVar[int]
    STOCK_RELEASED_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    outcome: Outcome
    reason: _common_pb2.Reason
    transient: bool
    delivery_planned: _commands_pb2.DeliveryPlanned
    delivery: _commands_pb2.DeliverySnapshot
    stock_reserved: _commands_pb2_1.StockReserved
    stock_committed: _commands_pb2_1.StockCommitted
    stock_released: _commands_pb2_1.StockReleased
    payment: _commands_pb2_1_1.PaymentSnapshot
    def __init__(self, order_id: _Optional[str] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., reason: _Optional[_Union[_common_pb2.Reason, _Mapping]] = ..., transient: _Optional[bool] = ..., delivery_planned: _Optional[_Union[_commands_pb2.DeliveryPlanned, _Mapping]] = ..., delivery: _Optional[_Union[_commands_pb2.DeliverySnapshot, _Mapping]] = ..., stock_reserved: _Optional[_Union[_commands_pb2_1.StockReserved, _Mapping]] = ..., stock_committed: _Optional[_Union[_commands_pb2_1.StockCommitted, _Mapping]] = ..., stock_released: _Optional[_Union[_commands_pb2_1.StockReleased, _Mapping]] = ..., payment: _Optional[_Union[_commands_pb2_1_1.PaymentSnapshot, _Mapping]] = ...) -> None: ...

class CommandDeadLettered(_message.Message):
    __slots__ = ("order_id", "consumer", "dead_letter_id", "reason")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    consumer: str
    dead_letter_id: str
    reason: str
    def __init__(self, order_id: _Optional[str] = ..., consumer: _Optional[str] = ..., dead_letter_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
