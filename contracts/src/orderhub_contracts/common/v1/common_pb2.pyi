from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Money(_message.Message):
    __slots__ = ("amount_minor", "currency")
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    amount_minor: int
    currency: str
    def __init__(self, amount_minor: _Optional[int] = ..., currency: _Optional[str] = ...) -> None: ...

class Position(_message.Message):
    __slots__ = ("lat", "lon")
    LAT_FIELD_NUMBER: _ClassVar[int]
    LON_FIELD_NUMBER: _ClassVar[int]
    lat: float
    lon: float
    def __init__(self, lat: _Optional[float] = ..., lon: _Optional[float] = ...) -> None: ...

class Address(_message.Message):
    __slots__ = ("name", "line1", "city", "postal_code", "country", "phone", "position")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LINE1_FIELD_NUMBER: _ClassVar[int]
    CITY_FIELD_NUMBER: _ClassVar[int]
    POSTAL_CODE_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    PHONE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    name: str
    line1: str
    city: str
    postal_code: str
    country: str
    phone: str
    position: Position
    def __init__(self, name: _Optional[str] = ..., line1: _Optional[str] = ..., city: _Optional[str] = ..., postal_code: _Optional[str] = ..., country: _Optional[str] = ..., phone: _Optional[str] = ..., position: _Optional[_Union[Position, _Mapping]] = ...) -> None: ...

class AnimalFacts(_message.Message):
    __slots__ = ("animal_id", "species", "life_stage", "born_on", "weaned", "carapace_cm", "weight_kg", "with_mother")
    ANIMAL_ID_FIELD_NUMBER: _ClassVar[int]
    SPECIES_FIELD_NUMBER: _ClassVar[int]
    LIFE_STAGE_FIELD_NUMBER: _ClassVar[int]
    BORN_ON_FIELD_NUMBER: _ClassVar[int]
    WEANED_FIELD_NUMBER: _ClassVar[int]
    CARAPACE_CM_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_KG_FIELD_NUMBER: _ClassVar[int]
    WITH_MOTHER_FIELD_NUMBER: _ClassVar[int]
    animal_id: str
    species: str
    life_stage: str
    born_on: str
    weaned: bool
    carapace_cm: float
    weight_kg: float
    with_mother: bool
    def __init__(self, animal_id: _Optional[str] = ..., species: _Optional[str] = ..., life_stage: _Optional[str] = ..., born_on: _Optional[str] = ..., weaned: _Optional[bool] = ..., carapace_cm: _Optional[float] = ..., weight_kg: _Optional[float] = ..., with_mother: _Optional[bool] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("code", "message", "lines")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    lines: _containers.RepeatedCompositeFieldContainer[LineReason]
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[LineReason, _Mapping]]] = ...) -> None: ...

class LineReason(_message.Message):
    __slots__ = ("line_no", "code", "message")
    LINE_NO_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    line_no: int
    code: str
    message: str
    def __init__(self, line_no: _Optional[int] = ..., code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class PageRequest(_message.Message):
    __slots__ = ("limit", "cursor")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    limit: int
    cursor: str
    def __init__(self, limit: _Optional[int] = ..., cursor: _Optional[str] = ...) -> None: ...

class FailureDetail(_message.Message):
    __slots__ = ("kind", "code", "message", "errors", "retry_after_seconds", "members")
    class MembersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    code: str
    message: str
    errors: _containers.RepeatedCompositeFieldContainer[FieldError]
    retry_after_seconds: int
    members: _containers.ScalarMap[str, str]
    def __init__(self, kind: _Optional[str] = ..., code: _Optional[str] = ..., message: _Optional[str] = ..., errors: _Optional[_Iterable[_Union[FieldError, _Mapping]]] = ..., retry_after_seconds: _Optional[int] = ..., members: _Optional[_Mapping[str, str]] = ...) -> None: ...

class FieldError(_message.Message):
    __slots__ = ("pointer", "code", "message")
    POINTER_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    pointer: str
    code: str
    message: str
    def __init__(self, pointer: _Optional[str] = ..., code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...
