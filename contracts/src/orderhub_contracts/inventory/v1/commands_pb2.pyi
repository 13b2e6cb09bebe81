from orderhub_contracts.common.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Disposition(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DISPOSITION_UNSPECIFIED: _ClassVar[Disposition]
    DISPOSITION_RESTOCK: _ClassVar[Disposition]
    DISPOSITION_QUARANTINE: _ClassVar[Disposition]
DISPOSITION_UNSPECIFIED: Disposition
DISPOSITION_RESTOCK: Disposition
DISPOSITION_QUARANTINE: Disposition

class ReserveStock(_message.Message):
    __slots__ = ("order_id", "vendor_id", "lines")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    vendor_id: str
    lines: _containers.RepeatedCompositeFieldContainer[ReserveLine]
    def __init__(self, order_id: _Optional[str] = ..., vendor_id: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[ReserveLine, _Mapping]]] = ...) -> None: ...

class ReserveLine(_message.Message):
    __slots__ = ("line_no", "product_id", "quantity", "unit_price", "animal_ids")
    LINE_NO_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    ANIMAL_IDS_FIELD_NUMBER: _ClassVar[int]
    line_no: int
    product_id: str
    quantity: int
    unit_price: _common_pb2.Money
    animal_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, line_no: _Optional[int] = ..., product_id: _Optional[str] = ..., quantity: _Optional[int] = ..., unit_price: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., animal_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CommitStock(_message.Message):
    __slots__ = ("order_id",)
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    def __init__(self, order_id: _Optional[str] = ...) -> None: ...

class ReleaseStock(_message.Message):
    __slots__ = ("order_id", "disposition")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    DISPOSITION_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    disposition: Disposition
    def __init__(self, order_id: _Optional[str] = ..., disposition: _Optional[_Union[Disposition, str]] = ...) -> None: ...

class ExtendReservation(_message.Message):
    __slots__ = ("order_id",)
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    def __init__(self, order_id: _Optional[str] = ...) -> None: ...

class StockReserved(_message.Message):
    __slots__ = ("lines",)
    LINES_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[ReservedLine]
    def __init__(self, lines: _Optional[_Iterable[_Union[ReservedLine, _Mapping]]] = ...) -> None: ...

class ReservedLine(_message.Message):
    __slots__ = ("line_no", "animal_id")
    LINE_NO_FIELD_NUMBER: _ClassVar[int]
    ANIMAL_ID_FIELD_NUMBER: _ClassVar[int]
    line_no: int
    animal_id: str
    def __init__(self, line_no: _Optional[int] = ..., animal_id: _Optional[str] = ...) -> None: ...

class StockCommitted(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StockReleased(_message.Message):
    __slots__ = ("disposition",)
    DISPOSITION_FIELD_NUMBER: _ClassVar[int]
    disposition: str
    def __init__(self, disposition: _Optional[str] = ...) -> None: ...

class ReservationDue(_message.Message):
    __slots__ = ("order_id", "epoch")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    epoch: int
    def __init__(self, order_id: _Optional[str] = ..., epoch: _Optional[int] = ...) -> None: ...
