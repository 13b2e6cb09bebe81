from orderhub_contracts.common.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OrderEvent(_message.Message):
    __slots__ = ("order_id", "seq", "kind", "title", "detail", "at", "service", "order_status", "customer_id", "vendor_id", "reason")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    ORDER_STATUS_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    seq: int
    kind: str
    title: str
    detail: str
    at: str
    service: str
    order_status: str
    customer_id: str
    vendor_id: str
    reason: _common_pb2.Reason
    def __init__(self, order_id: _Optional[str] = ..., seq: _Optional[int] = ..., kind: _Optional[str] = ..., title: _Optional[str] = ..., detail: _Optional[str] = ..., at: _Optional[str] = ..., service: _Optional[str] = ..., order_status: _Optional[str] = ..., customer_id: _Optional[str] = ..., vendor_id: _Optional[str] = ..., reason: _Optional[_Union[_common_pb2.Reason, _Mapping]] = ...) -> None: ...

class PaymentChanged(_message.Message):
    __slots__ = ("payment_id", "order_id", "status", "version", "authorized", "captured", "refunded", "kind", "detail")
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZED_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_FIELD_NUMBER: _ClassVar[int]
    REFUNDED_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    payment_id: str
    order_id: str
    status: str
    version: int
    authorized: _common_pb2.Money
    captured: _common_pb2.Money
    refunded: _common_pb2.Money
    kind: str
    detail: str
    def __init__(self, payment_id: _Optional[str] = ..., order_id: _Optional[str] = ..., status: _Optional[str] = ..., version: _Optional[int] = ..., authorized: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., captured: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., refunded: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., kind: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class DeliveryChanged(_message.Message):
    __slots__ = ("delivery_id", "order_id", "status", "version", "courier_id", "kind", "detail", "final", "picked_up")
    DELIVERY_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    COURIER_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    PICKED_UP_FIELD_NUMBER: _ClassVar[int]
    delivery_id: str
    order_id: str
    status: str
    version: int
    courier_id: str
    kind: str
    detail: str
    final: bool
    picked_up: bool
    def __init__(self, delivery_id: _Optional[str] = ..., order_id: _Optional[str] = ..., status: _Optional[str] = ..., version: _Optional[int] = ..., courier_id: _Optional[str] = ..., kind: _Optional[str] = ..., detail: _Optional[str] = ..., final: _Optional[bool] = ..., picked_up: _Optional[bool] = ...) -> None: ...

class VendorChanged(_message.Message):
    __slots__ = ("vendor_id", "name", "address", "version")
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    vendor_id: str
    name: str
    address: _common_pb2.Address
    version: int
    def __init__(self, vendor_id: _Optional[str] = ..., name: _Optional[str] = ..., address: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., version: _Optional[int] = ...) -> None: ...

class ProductChanged(_message.Message):
    __slots__ = ("product_id", "vendor_id", "sku", "title", "kind", "price", "status", "version", "facts")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    SKU_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    vendor_id: str
    sku: str
    title: str
    kind: str
    price: _common_pb2.Money
    status: str
    version: int
    facts: _common_pb2.AnimalFacts
    def __init__(self, product_id: _Optional[str] = ..., vendor_id: _Optional[str] = ..., sku: _Optional[str] = ..., title: _Optional[str] = ..., kind: _Optional[str] = ..., price: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., status: _Optional[str] = ..., version: _Optional[int] = ..., facts: _Optional[_Union[_common_pb2.AnimalFacts, _Mapping]] = ...) -> None: ...

class AnimalChanged(_message.Message):
    __slots__ = ("animal_id", "product_id", "vendor_id", "status", "version", "facts")
    ANIMAL_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    animal_id: str
    product_id: str
    vendor_id: str
    status: str
    version: int
    facts: _common_pb2.AnimalFacts
    def __init__(self, animal_id: _Optional[str] = ..., product_id: _Optional[str] = ..., vendor_id: _Optional[str] = ..., status: _Optional[str] = ..., version: _Optional[int] = ..., facts: _Optional[_Union[_common_pb2.AnimalFacts, _Mapping]] = ...) -> None: ...

class PasswordResetRequested(_message.Message):
    __slots__ = ("user_id", "email", "name", "code", "expires_at")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    email: str
    name: str
    code: str
    expires_at: str
    def __init__(self, user_id: _Optional[str] = ..., email: _Optional[str] = ..., name: _Optional[str] = ..., code: _Optional[str] = ..., expires_at: _Optional[str] = ...) -> None: ...

class EmailVerificationRequested(_message.Message):
    __slots__ = ("user_id", "email", "name", "code", "expires_at")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    email: str
    name: str
    code: str
    expires_at: str
    def __init__(self, user_id: _Optional[str] = ..., email: _Optional[str] = ..., name: _Optional[str] = ..., code: _Optional[str] = ..., expires_at: _Optional[str] = ...) -> None: ...

class RegistrationAttempted(_message.Message):
    __slots__ = ("user_id", "email", "name")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    email: str
    name: str
    def __init__(self, user_id: _Optional[str] = ..., email: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class PasswordChanged(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class UserRegistered(_message.Message):
    __slots__ = ("user_id", "roles")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, user_id: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ...) -> None: ...
