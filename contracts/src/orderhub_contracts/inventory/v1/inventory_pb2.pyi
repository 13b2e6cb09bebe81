from orderhub_contracts.common.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Vendor(_message.Message):
    __slots__ = ("id", "name", "country", "address", "version", "email")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    country: str
    address: _common_pb2.Address
    version: int
    email: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., country: _Optional[str] = ..., address: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., version: _Optional[int] = ..., email: _Optional[str] = ...) -> None: ...

class GetVendorRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ListVendorsRequest(_message.Message):
    __slots__ = ("page", "name")
    PAGE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    page: _common_pb2.PageRequest
    name: str
    def __init__(self, page: _Optional[_Union[_common_pb2.PageRequest, _Mapping]] = ..., name: _Optional[str] = ...) -> None: ...

class ListVendorsResponse(_message.Message):
    __slots__ = ("items", "next_cursor")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Vendor]
    next_cursor: str
    def __init__(self, items: _Optional[_Iterable[_Union[Vendor, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class CreateVendorRequest(_message.Message):
    __slots__ = ("name", "address", "email")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    address: _common_pb2.Address
    email: str
    def __init__(self, name: _Optional[str] = ..., address: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., email: _Optional[str] = ...) -> None: ...

class UpdateVendorRequest(_message.Message):
    __slots__ = ("name", "address", "if_version", "vendor_id", "email")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    IF_VERSION_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    address: _common_pb2.Address
    if_version: int
    vendor_id: str
    email: str
    def __init__(self, name: _Optional[str] = ..., address: _Optional[_Union[_common_pb2.Address, _Mapping]] = ..., if_version: _Optional[int] = ..., vendor_id: _Optional[str] = ..., email: _Optional[str] = ...) -> None: ...

class Stock(_message.Message):
    __slots__ = ("on_hand", "reserved", "available", "quarantined")
    ON_HAND_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    on_hand: int
    reserved: int
    available: int
    quarantined: int
    def __init__(self, on_hand: _Optional[int] = ..., reserved: _Optional[int] = ..., available: _Optional[int] = ..., quarantined: _Optional[int] = ...) -> None: ...

class Product(_message.Message):
    __slots__ = ("id", "vendor_id", "sku", "title", "description", "kind", "species", "price", "status", "stock", "version", "facts")
    ID_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    SKU_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SPECIES_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STOCK_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    vendor_id: str
    sku: str
    title: str
    description: str
    kind: str
    species: str
    price: _common_pb2.Money
    status: str
    stock: Stock
    version: int
    facts: _common_pb2.AnimalFacts
    def __init__(self, id: _Optional[str] = ..., vendor_id: _Optional[str] = ..., sku: _Optional[str] = ..., title: _Optional[str] = ..., description: _Optional[str] = ..., kind: _Optional[str] = ..., species: _Optional[str] = ..., price: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., status: _Optional[str] = ..., stock: _Optional[_Union[Stock, _Mapping]] = ..., version: _Optional[int] = ..., facts: _Optional[_Union[_common_pb2.AnimalFacts, _Mapping]] = ...) -> None: ...

class Animal(_message.Message):
    __slots__ = ("id", "product_id", "vendor_id", "status", "facts", "identifier", "version")
    ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    product_id: str
    vendor_id: str
    status: str
    facts: _common_pb2.AnimalFacts
    identifier: str
    version: int
    def __init__(self, id: _Optional[str] = ..., product_id: _Optional[str] = ..., vendor_id: _Optional[str] = ..., status: _Optional[str] = ..., facts: _Optional[_Union[_common_pb2.AnimalFacts, _Mapping]] = ..., identifier: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class ListProductsRequest(_message.Message):
    __slots__ = ("page", "q", "vendor_id", "species", "kind", "in_stock", "sort", "status")
    PAGE_FIELD_NUMBER: _ClassVar[int]
    Q_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    SPECIES_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    IN_STOCK_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    page: _common_pb2.PageRequest
    q: str
    vendor_id: str
    species: str
    kind: str
    in_stock: bool
    sort: str
    status: str
    def __init__(self, page: _Optional[_Union[_common_pb2.PageRequest, _Mapping]] = ..., q: _Optional[str] = ..., vendor_id: _Optional[str] = ..., species: _Optional[str] = ..., kind: _Optional[str] = ..., in_stock: _Optional[bool] = ..., sort: _Optional[str] = ..., status: _Optional[str] = ...) -> None: ...

class ListProductsResponse(_message.Message):
    __slots__ = ("items", "next_cursor")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Product]
    next_cursor: str
    def __init__(self, items: _Optional[_Iterable[_Union[Product, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class GetProductRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ProductKey(_message.Message):
    __slots__ = ("product_id", "vendor_id", "sku", "animal_id")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    SKU_FIELD_NUMBER: _ClassVar[int]
    ANIMAL_ID_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    vendor_id: str
    sku: str
    animal_id: str
    def __init__(self, product_id: _Optional[str] = ..., vendor_id: _Optional[str] = ..., sku: _Optional[str] = ..., animal_id: _Optional[str] = ...) -> None: ...

class BatchGetProductsRequest(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[ProductKey]
    def __init__(self, keys: _Optional[_Iterable[_Union[ProductKey, _Mapping]]] = ...) -> None: ...

class BatchGetProductsResponse(_message.Message):
    __slots__ = ("products", "animals", "vendors")
    PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    ANIMALS_FIELD_NUMBER: _ClassVar[int]
    VENDORS_FIELD_NUMBER: _ClassVar[int]
    products: _containers.RepeatedCompositeFieldContainer[Product]
    animals: _containers.RepeatedCompositeFieldContainer[Animal]
    vendors: _containers.RepeatedCompositeFieldContainer[Vendor]
    def __init__(self, products: _Optional[_Iterable[_Union[Product, _Mapping]]] = ..., animals: _Optional[_Iterable[_Union[Animal, _Mapping]]] = ..., vendors: _Optional[_Iterable[_Union[Vendor, _Mapping]]] = ...) -> None: ...

class CreateProductRequest(_message.Message):
    __slots__ = ("sku", "title", "description", "kind", "price", "facts", "initial_stock", "vendor_id")
    SKU_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    INITIAL_STOCK_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    sku: str
    title: str
    description: str
    kind: str
    price: _common_pb2.Money
    facts: _common_pb2.AnimalFacts
    initial_stock: int
    vendor_id: str
    def __init__(self, sku: _Optional[str] = ..., title: _Optional[str] = ..., description: _Optional[str] = ..., kind: _Optional[str] = ..., price: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., facts: _Optional[_Union[_common_pb2.AnimalFacts, _Mapping]] = ..., initial_stock: _Optional[int] = ..., vendor_id: _Optional[str] = ...) -> None: ...

class UpdateProductRequest(_message.Message):
    __slots__ = ("id", "title", "description", "price", "status", "if_version", "facts")
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    IF_VERSION_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    title: str
    description: str
    price: _common_pb2.Money
    status: str
    if_version: int
    facts: _common_pb2.AnimalFacts
    def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ..., description: _Optional[str] = ..., price: _Optional[_Union[_common_pb2.Money, _Mapping]] = ..., status: _Optional[str] = ..., if_version: _Optional[int] = ..., facts: _Optional[_Union[_common_pb2.AnimalFacts, _Mapping]] = ...) -> None: ...

class ArchiveProductRequest(_message.Message):
    __slots__ = ("id", "if_version")
    ID_FIELD_NUMBER: _ClassVar[int]
    IF_VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    if_version: int
    def __init__(self, id: _Optional[str] = ..., if_version: _Optional[int] = ...) -> None: ...

class ImportProductsRequest(_message.Message):
    __slots__ = ("csv", "partial", "vendor_id", "rebase_ages")
    CSV_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    REBASE_AGES_FIELD_NUMBER: _ClassVar[int]
    csv: bytes
    partial: bool
    vendor_id: str
    rebase_ages: bool
    def __init__(self, csv: _Optional[bytes] = ..., partial: _Optional[bool] = ..., vendor_id: _Optional[str] = ..., rebase_ages: _Optional[bool] = ...) -> None: ...

class ImportProgress(_message.Message):
    __slots__ = ("rows_read", "rows_total", "created", "updated", "errors", "done", "unchanged", "applied", "errors_total")
    ROWS_READ_FIELD_NUMBER: _ClassVar[int]
    ROWS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    UPDATED_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    ERRORS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    rows_read: int
    rows_total: int
    created: int
    updated: int
    errors: _containers.RepeatedCompositeFieldContainer[ImportError]
    done: bool
    unchanged: int
    applied: bool
    errors_total: int
    def __init__(self, rows_read: _Optional[int] = ..., rows_total: _Optional[int] = ..., created: _Optional[int] = ..., updated: _Optional[int] = ..., errors: _Optional[_Iterable[_Union[ImportError, _Mapping]]] = ..., done: _Optional[bool] = ..., unchanged: _Optional[int] = ..., applied: _Optional[bool] = ..., errors_total: _Optional[int] = ...) -> None: ...

class ImportVendorsRequest(_message.Message):
    __slots__ = ("csv", "partial")
    CSV_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    csv: bytes
    partial: bool
    def __init__(self, csv: _Optional[bytes] = ..., partial: _Optional[bool] = ...) -> None: ...

class ImportError(_message.Message):
    __slots__ = ("line", "column", "code", "message")
    LINE_FIELD_NUMBER: _ClassVar[int]
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    line: int
    column: str
    code: str
    message: str
    def __init__(self, line: _Optional[int] = ..., column: _Optional[str] = ..., code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class ChangeStockRequest(_message.Message):
    __slots__ = ("product_id", "set", "delta", "reason", "if_version", "release_quarantine")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    SET_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    IF_VERSION_FIELD_NUMBER: _ClassVar[int]
    RELEASE_QUARANTINE_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    set: int
    delta: int
    reason: str
    if_version: int
    release_quarantine: bool
    def __init__(self, product_id: _Optional[str] = ..., set: _Optional[int] = ..., delta: _Optional[int] = ..., reason: _Optional[str] = ..., if_version: _Optional[int] = ..., release_quarantine: _Optional[bool] = ...) -> None: ...

class ListAnimalsRequest(_message.Message):
    __slots__ = ("product_id", "page")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    page: _common_pb2.PageRequest
    def __init__(self, product_id: _Optional[str] = ..., page: _Optional[_Union[_common_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class ListAnimalsResponse(_message.Message):
    __slots__ = ("items", "next_cursor")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Animal]
    next_cursor: str
    def __init__(self, items: _Optional[_Iterable[_Union[Animal, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class AddAnimalRequest(_message.Message):
    __slots__ = ("product_id", "facts", "identifier")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    facts: _common_pb2.AnimalFacts
    identifier: str
    def __init__(self, product_id: _Optional[str] = ..., facts: _Optional[_Union[_common_pb2.AnimalFacts, _Mapping]] = ..., identifier: _Optional[str] = ...) -> None: ...

class ReleaseAnimalRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class WithdrawAnimalRequest(_message.Message):
    __slots__ = ("id", "reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    reason: str
    def __init__(self, id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
