from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class SigningKeyRotated(_message.Message):
    __slots__ = ("user_id", "kid", "algorithm", "signs_from", "revoked_kids")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    KID_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    SIGNS_FROM_FIELD_NUMBER: _ClassVar[int]
    REVOKED_KIDS_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    kid: str
    algorithm: str
    signs_from: str
    revoked_kids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, user_id: _Optional[str] = ..., kid: _Optional[str] = ..., algorithm: _Optional[str] = ..., signs_from: _Optional[str] = ..., revoked_kids: _Optional[_Iterable[str]] = ...) -> None: ...
