from orderhub_contracts.common.v1 import common_pb2 as _common_pb2
from orderhub_contracts.delivery.v1 import commands_pb2 as _commands_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Delivery(_message.Message):
    __slots__ = ("id", "order_id", "status", "description", "pickup_address", "delivery_address", "courier_id", "eta", "position", "position_at", "legs", "reason", "updated_at", "version", "vendor_id", "customer_id", "held", "picked_up", "recipient", "created_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PICKUP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    COURIER_ID_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    POSITION_AT_FIELD_NUMBER: _ClassVar[int]
    LEGS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    PICKED_UP_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    order_id: str
    status: str
    description: str
    pickup_address: _common_pb2.Address
    delivery_address: _common_pb2.Address
    courier_id: str
    eta: str
    position: _common_pb2.Position
    position_at: str
    legs: _containers.RepeatedCompositeFieldContainer[Leg]
    reason: _common_pb2.Reason
    updated_at: str
    version: int
    vendor_id: str
    customer_id: str
    held: bool
    picked_up: bool
    recipient: str
    created_at: str
    def __init__(self, id: _Optional[str] = ..., order_id: _Optional[str] = ..., status: _Optional[str] = ..., description: _Optional[str] = ..., pickup_address: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., delivery_address: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., courier_id: _Optional[str] = ..., eta: _Optional[str] = ..., position: _Optional[_Union[_common_pb2.Position, _Mapping]] = ..., position_at: _Optional[str] = ..., legs: _Optional[_Iterable[_Union[Leg, _Mapping]]] = ..., reason: _Optional[_Union[_common_pb2.Reason, _Mapping]] = ..., updated_at: _Optional[str] = ..., version: _Optional[int] = ..., vendor_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., held: _Optional[bool] = ..., picked_up: _Optional[bool] = ..., recipient: _Optional[str] = ..., created_at: _Optional[str] = ...) -> None: ...

class Leg(_message.Message):
    __slots__ = ("leg_no", "from_city", "to_city", "distance_km", "status")
    LEG_NO_FIELD_NUMBER: _ClassVar[int]
    FROM_CITY_FIELD_NUMBER: _ClassVar[int]
    TO_CITY_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_KM_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    leg_no: int
    from_city: str
    to_city: str
    distance_km: float
    status: str
    def __init__(self, leg_no: _Optional[int] = ..., from_city: _Optional[str] = ..., to_city: _Optional[str] = ..., distance_km: _Optional[float] = ..., status: _Optional[str] = ...) -> None: ...

class CreateDeliveryRequest(_message.Message):
    __slots__ = ("order_id", "pickup_address", "delivery_address", "description")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    PICKUP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    pickup_address: _common_pb2.Address
    delivery_address: _common_pb2.Address
    description: str
    def __init__(self, order_id: _Optional[str] = ..., pickup_address: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., delivery_address: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., description: _Optional[str] = ...) -> None: ...

class GetDeliveryRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ListDeliveriesRequest(_message.Message):
    __slots__ = ("page", "order_id", "status")
    PAGE_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    page: _common_pb2.PageRequest
    order_id: str
    status: str
    def __init__(self, page: _Optional[_Union[_common_pb2.PageRequest, _Mapping]] = ..., order_id: _Optional[str] = ..., status: _Optional[str] = ...) -> None: ...

class ListDeliveriesResponse(_message.Message):
    __slots__ = ("items", "next_cursor")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Delivery]
    next_cursor: str
    def __init__(self, items: _Optional[_Iterable[_Union[Delivery, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class QuoteDeliveryRequest(_message.Message):
    __slots__ = ("pickup", "ship_to", "lines")
    PICKUP_FIELD_NUMBER: _ClassVar[int]
    SHIP_TO_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    pickup: _common_pb2.Address
    ship_to: _common_pb2.Address
    lines: _containers.RepeatedCompositeFieldContainer[_commands_pb2.PlanLine]
    def __init__(self, pickup: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., ship_to: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[_commands_pb2.PlanLine, _Mapping]]] = ...) -> None: ...

class Quote(_message.Message):
    __slots__ = ("verdict", "rule_set_hash", "findings", "distance_km")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    RULE_SET_HASH_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_KM_FIELD_NUMBER: _ClassVar[int]
    verdict: str
    rule_set_hash: str
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    distance_km: float
    def __init__(self, verdict: _Optional[str] = ..., rule_set_hash: _Optional[str] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., distance_km: _Optional[float] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("rule_id", "line_no", "severity", "outcome", "text", "citation", "jurisdiction", "animal_id")
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    LINE_NO_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    CITATION_FIELD_NUMBER: _ClassVar[int]
    JURISDICTION_FIELD_NUMBER: _ClassVar[int]
    ANIMAL_ID_FIELD_NUMBER: _ClassVar[int]
    rule_id: str
    line_no: int
    severity: str
    outcome: str
    text: str
    citation: str
    jurisdiction: str
    animal_id: str
    def __init__(self, rule_id: _Optional[str] = ..., line_no: _Optional[int] = ..., severity: _Optional[str] = ..., outcome: _Optional[str] = ..., text: _Optional[str] = ..., citation: _Optional[str] = ..., jurisdiction: _Optional[str] = ..., animal_id: _Optional[str] = ...) -> None: ...

class AssignDeliveryRequest(_message.Message):
    __slots__ = ("id", "courier_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    COURIER_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    courier_id: str
    def __init__(self, id: _Optional[str] = ..., courier_id: _Optional[str] = ...) -> None: ...

class PickUpDeliveryRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ReportPositionRequest(_message.Message):
    __slots__ = ("id", "position", "at")
    ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    position: _common_pb2.Position
    at: str
    def __init__(self, id: _Optional[str] = ..., position: _Optional[_Union[_common_pb2.Position, _Mapping]] = ..., at: _Optional[str] = ...) -> None: ...

class HandOverDeliveryRequest(_message.Message):
    __slots__ = ("id", "recipient")
    ID_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    recipient: str
    def __init__(self, id: _Optional[str] = ..., recipient: _Optional[str] = ...) -> None: ...

class FailDeliveryRequest(_message.Message):
    __slots__ = ("id", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    reason: str
    def __init__(self, id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class CancelDeliveryRequest(_message.Message):
    __slots__ = ("id", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    reason: str
    def __init__(self, id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
