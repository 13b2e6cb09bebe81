from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class MfaEnabled(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class MfaDisabled(_message.Message):
    __slots__ = ("user_id", "by_operator")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    BY_OPERATOR_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    by_operator: bool
    def __init__(self, user_id: _Optional[str] = ..., by_operator: _Optional[bool] = ...) -> None: ...

class RecoveryCodeUsed(_message.Message):
    __slots__ = ("user_id", "left")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    left: int
    def __init__(self, user_id: _Optional[str] = ..., left: _Optional[int] = ...) -> None: ...

class RecoveryCodesReplaced(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class SecondFactorGuessed(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...
