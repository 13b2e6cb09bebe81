from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SigningKey(_message.Message):
    __slots__ = ("kid", "algorithm", "state", "created_at", "signs_from", "signs_until", "published_until")
    KID_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    SIGNS_FROM_FIELD_NUMBER: _ClassVar[int]
    SIGNS_UNTIL_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    kid: str
    algorithm: str
    state: str
    created_at: str
    signs_from: str
    signs_until: str
    published_until: str
    def __init__(self, kid: _Optional[str] = ..., algorithm: _Optional[str] = ..., state: _Optional[str] = ..., created_at: _Optional[str] = ..., signs_from: _Optional[str] = ..., signs_until: _Optional[str] = ..., published_until: _Optional[str] = ...) -> None: ...

class ListSigningKeysRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListSigningKeysResponse(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[SigningKey]
    def __init__(self, items: _Optional[_Iterable[_Union[SigningKey, _Mapping]]] = ...) -> None: ...

class RotateSigningKeysRequest(_message.Message):
    __slots__ = ("algorithm", "now")
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    algorithm: str
    now: bool
    def __init__(self, algorithm: _Optional[str] = ..., now: _Optional[bool] = ...) -> None: ...

class RotateSigningKeysResponse(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[SigningKey]
    def __init__(self, items: _Optional[_Iterable[_Union[SigningKey, _Mapping]]] = ...) -> None: ...
