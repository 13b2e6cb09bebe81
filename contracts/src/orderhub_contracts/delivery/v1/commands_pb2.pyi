from orderhub_contracts.common.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PlanDelivery(_message.Message):
    __slots__ = ("order_id", "vendor_id", "pickup", "ship_to", "lines")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    PICKUP_FIELD_NUMBER: _ClassVar[int]
    SHIP_TO_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    vendor_id: str
    pickup: _common_pb2.Address
    ship_to: _common_pb2.Address
    lines: _containers.RepeatedCompositeFieldContainer[PlanLine]
    def __init__(self, order_id: _Optional[str] = ..., vendor_id: _Optional[str] = ..., pickup: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., ship_to: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[PlanLine, _Mapping]]] = ...) -> None: ...

class PlanLine(_message.Message):
    __slots__ = ("line_no", "kind", "quantity", "candidates")
    LINE_NO_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    line_no: int
    kind: str
    quantity: int
    candidates: _containers.RepeatedCompositeFieldContainer[_common_pb2.AnimalFacts]
    def __init__(self, line_no: _Optional[int] = ..., kind: _Optional[str] = ..., quantity: _Optional[int] = ..., candidates: _Optional[_Iterable[_Union[_common_pb2.AnimalFacts, _Mapping]]] = ...) -> None: ...

class BookDelivery(_message.Message):
    __slots__ = ("order_id", "vendor_id", "customer_id", "pickup", "ship_to", "description")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    PICKUP_FIELD_NUMBER: _ClassVar[int]
    SHIP_TO_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    vendor_id: str
    customer_id: str
    pickup: _common_pb2.Address
    ship_to: _common_pb2.Address
    description: str
    def __init__(self, order_id: _Optional[str] = ..., vendor_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., pickup: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., ship_to: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., description: _Optional[str] = ...) -> None: ...

class ReleaseDelivery(_message.Message):
    __slots__ = ("order_id",)
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    def __init__(self, order_id: _Optional[str] = ...) -> None: ...

class CancelBooking(_message.Message):
    __slots__ = ("order_id",)
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    def __init__(self, order_id: _Optional[str] = ...) -> None: ...

class StopDelivery(_message.Message):
    __slots__ = ("order_id", "reason")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    reason: str
    def __init__(self, order_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class DeliveryPlanned(_message.Message):
    __slots__ = ("decision_id", "rule_set_hash", "verdict", "allowed")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    RULE_SET_HASH_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    rule_set_hash: str
    verdict: str
    allowed: _containers.RepeatedCompositeFieldContainer[AllowedAnimals]
    def __init__(self, decision_id: _Optional[str] = ..., rule_set_hash: _Optional[str] = ..., verdict: _Optional[str] = ..., allowed: _Optional[_Iterable[_Union[AllowedAnimals, _Mapping]]] = ...) -> None: ...

class AllowedAnimals(_message.Message):
    __slots__ = ("line_no", "animal_ids")
    LINE_NO_FIELD_NUMBER: _ClassVar[int]
    ANIMAL_IDS_FIELD_NUMBER: _ClassVar[int]
    line_no: int
    animal_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, line_no: _Optional[int] = ..., animal_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class DeliverySnapshot(_message.Message):
    __slots__ = ("delivery_id", "status", "version", "courier_id", "picked_up")
    DELIVERY_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    COURIER_ID_FIELD_NUMBER: _ClassVar[int]
    PICKED_UP_FIELD_NUMBER: _ClassVar[int]
    delivery_id: str
    status: str
    version: int
    courier_id: str
    picked_up: bool
    def __init__(self, delivery_id: _Optional[str] = ..., status: _Optional[str] = ..., version: _Optional[int] = ..., courier_id: _Optional[str] = ..., picked_up: _Optional[bool] = ...) -> None: ...
