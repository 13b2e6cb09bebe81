from orderhub_contracts.common.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SagaAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SAGA_ACTION_UNSPECIFIED: _ClassVar[SagaAction]
    SAGA_ACTION_RETRY: _ClassVar[SagaAction]
    SAGA_ACTION_COMPENSATE: _ClassVar[SagaAction]
    SAGA_ACTION_SKIP: _ClassVar[SagaAction]
    SAGA_ACTION_FORCE: _ClassVar[SagaAction]
SAGA_ACTION_UNSPECIFIED: SagaAction
SAGA_ACTION_RETRY: SagaAction
SAGA_ACTION_COMPENSATE: SagaAction
SAGA_ACTION_SKIP: SagaAction
SAGA_ACTION_FORCE: SagaAction

class OrderLineRequest(_message.Message):
    __slots__ = ("product_id", "vendor_id", "sku", "animal_id", "quantity")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    SKU_FIELD_NUMBER: _ClassVar[int]
    ANIMAL_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    vendor_id: str
    sku: str
    animal_id: str
    quantity: int
    def __init__(self, product_id: _Optional[str] = ..., vendor_id: _Optional[str] = ..., sku: _Optional[str] = ..., animal_id: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class PlaceOrderRequest(_message.Message):
    __slots__ = ("lines", "ship_to", "payment_token", "comment")
    LINES_FIELD_NUMBER: _ClassVar[int]
    SHIP_TO_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[OrderLineRequest]
    ship_to: _common_pb2.Address
    payment_token: str
    comment: str
    def __init__(self, lines: _Optional[_Iterable[_Union[OrderLineRequest, _Mapping]]] = ..., ship_to: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., payment_token: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class PlaceOrderItem(_message.Message):
    __slots__ = ("request", "caller_token", "idempotency_key", "fingerprint", "traceparent")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    CALLER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    request: PlaceOrderRequest
    caller_token: str
    idempotency_key: str
    fingerprint: bytes
    traceparent: str
    def __init__(self, request: _Optional[_Union[PlaceOrderRequest, _Mapping]] = ..., caller_token: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., fingerprint: _Optional[bytes] = ..., traceparent: _Optional[str] = ...) -> None: ...

class PlaceOrderOutcome(_message.Message):
    __slots__ = ("order", "failure", "replayed")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    order: Order
    failure: _common_pb2.FailureDetail
    replayed: bool
    def __init__(self, order: _Optional[_Union[Order, _Mapping]] = ..., failure: _Optional[_Union[_common_pb2.FailureDetail, _Mapping]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class PlaceOrdersRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[PlaceOrderItem]
    def __init__(self, items: _Optional[_Iterable[_Union[PlaceOrderItem, _Mapping]]] = ...) -> None: ...

class PlaceOrdersResponse(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[PlaceOrderOutcome]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[PlaceOrderOutcome, _Mapping]]] = ...) -> None: ...

class OrderLine(_message.Message):
    __slots__ = ("line_no", "product_id", "sku", "title", "quantity", "unit_price", "line_total", "animal")
    LINE_NO_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    SKU_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    LINE_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ANIMAL_FIELD_NUMBER: _ClassVar[int]
    line_no: int
    product_id: str
    sku: str
    title: str
    quantity: int
    unit_price: _common_pb2.Money
    line_total: _common_pb2.Money
    animal: OrderedAnimal
    def __init__(self, line_no: _Optional[int] = ..., product_id: _Optional[str] = ..., sku: _Optional[str] = ..., title: _Optional[str] = ..., quantity: _Optional[int] = ..., unit_price: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., line_total: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., animal: _Optional[_Union[OrderedAnimal, _Mapping]] = ...) -> None: ...

class OrderedAnimal(_message.Message):
    __slots__ = ("id", "species", "age_days")
    ID_FIELD_NUMBER: _ClassVar[int]
    SPECIES_FIELD_NUMBER: _ClassVar[int]
    AGE_DAYS_FIELD_NUMBER: _ClassVar[int]
    id: str
    species: str
    age_days: int
    def __init__(self, id: _Optional[str] = ..., species: _Optional[str] = ..., age_days: _Optional[int] = ...) -> None: ...

class Totals(_message.Message):
    __slots__ = ("items", "delivery", "tax", "total")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    TAX_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    items: _common_pb2.Money
    delivery: _common_pb2.Money
    tax: _common_pb2.Money
    total: _common_pb2.Money
    def __init__(self, items: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., delivery: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., tax: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., total: _Optional[_Union[_common_pb2.Money, _Mapping]] = ...) -> None: ...

class PartRef(_message.Message):
    __slots__ = ("id", "status")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    id: str
    status: str
    def __init__(self, id: _Optional[str] = ..., status: _Optional[str] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("id", "status", "reason", "customer_id", "vendor_id", "lines", "totals", "payment", "delivery", "ship_to", "comment", "created_at", "updated_at", "version")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    SHIP_TO_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    status: str
    reason: _common_pb2.Reason
    customer_id: str
    vendor_id: str
    lines: _containers.RepeatedCompositeFieldContainer[OrderLine]
    totals: Totals
    payment: PartRef
    delivery: PartRef
    ship_to: _common_pb2.Address
    comment: str
    created_at: str
    updated_at: str
    version: int
    def __init__(self, id: _Optional[str] = ..., status: _Optional[str] = ..., reason: _Optional[_Union[_common_pb2.Reason, _Mapping]] = ..., customer_id: _Optional[str] = ..., vendor_id: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[OrderLine, _Mapping]]] = ..., totals: _Optional[_Union[Totals, _Mapping]] = ..., payment: _Optional[_Union[PartRef, _Mapping]] = ..., delivery: _Optional[_Union[PartRef, _Mapping]] = ..., ship_to: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., comment: _Optional[str] = ..., created_at: _Optional[str] = ..., updated_at: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class GetOrderRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class WaitOrderRequest(_message.Message):
    __slots__ = ("id", "wait_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    id: str
    wait_ms: int
    def __init__(self, id: _Optional[str] = ..., wait_ms: _Optional[int] = ...) -> None: ...

class ListOrdersRequest(_message.Message):
    __slots__ = ("page", "status", "vendor_id", "customer_id", "created_after", "created_before")
    PAGE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AFTER_FIELD_NUMBER: _ClassVar[int]
    CREATED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    page: _common_pb2.PageRequest
    status: str
    vendor_id: str
    customer_id: str
    created_after: str
    created_before: str
    def __init__(self, page: _Optional[_Union[_common_pb2.PageRequest, _Mapping]] = ..., status: _Optional[str] = ..., vendor_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., created_after: _Optional[str] = ..., created_before: _Optional[str] = ...) -> None: ...

class ListOrdersResponse(_message.Message):
    __slots__ = ("items", "next_cursor")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Order]
    next_cursor: str
    def __init__(self, items: _Optional[_Iterable[_Union[Order, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class CancelOrderRequest(_message.Message):
    __slots__ = ("id", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    reason: str
    def __init__(self, id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class GetTimelineRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class TimelineItem(_message.Message):
    __slots__ = ("at", "seq", "kind", "title", "detail", "service", "trace_id")
    AT_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    at: str
    seq: int
    kind: str
    title: str
    detail: str
    service: str
    trace_id: str
    def __init__(self, at: _Optional[str] = ..., seq: _Optional[int] = ..., kind: _Optional[str] = ..., title: _Optional[str] = ..., detail: _Optional[str] = ..., service: _Optional[str] = ..., trace_id: _Optional[str] = ...) -> None: ...

class GetTimelineResponse(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[TimelineItem]
    def __init__(self, items: _Optional[_Iterable[_Union[TimelineItem, _Mapping]]] = ...) -> None: ...

class ReleaseOrderRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class RejectOrderRequest(_message.Message):
    __slots__ = ("id", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    reason: str
    def __init__(self, id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Saga(_message.Message):
    __slots__ = ("run_id", "order_id", "definition", "definition_version", "state", "step", "step_name", "epoch", "attempts", "deadline_at", "created_at", "updated_at", "reason")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    DEFINITION_VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEP_NAME_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_AT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    order_id: str
    definition: str
    definition_version: int
    state: str
    step: int
    step_name: str
    epoch: int
    attempts: int
    deadline_at: str
    created_at: str
    updated_at: str
    reason: _common_pb2.Reason
    def __init__(self, run_id: _Optional[str] = ..., order_id: _Optional[str] = ..., definition: _Optional[str] = ..., definition_version: _Optional[int] = ..., state: _Optional[str] = ..., step: _Optional[int] = ..., step_name: _Optional[str] = ..., epoch: _Optional[int] = ..., attempts: _Optional[int] = ..., deadline_at: _Optional[str] = ..., created_at: _Optional[str] = ..., updated_at: _Optional[str] = ..., reason: _Optional[_Union[_common_pb2.Reason, _Mapping]] = ...) -> None: ...

class ListSagasRequest(_message.Message):
    __slots__ = ("page", "state", "order_id")
    PAGE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    page: _common_pb2.PageRequest
    state: str
    order_id: str
    def __init__(self, page: _Optional[_Union[_common_pb2.PageRequest, _Mapping]] = ..., state: _Optional[str] = ..., order_id: _Optional[str] = ...) -> None: ...

class ListSagasResponse(_message.Message):
    __slots__ = ("items", "next_cursor")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Saga]
    next_cursor: str
    def __init__(self, items: _Optional[_Iterable[_Union[Saga, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class GetSagaRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class ActOnSagaRequest(_message.Message):
    __slots__ = ("run_id", "action", "reason")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    action: SagaAction
    reason: str
    def __init__(self, run_id: _Optional[str] = ..., action: _Optional[_Union[SagaAction, str]] = ..., reason: _Optional[str] = ...) -> None: ...
