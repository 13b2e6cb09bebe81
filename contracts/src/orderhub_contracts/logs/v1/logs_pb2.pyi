from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class LogRecord(_message.Message):
    __slots__ = ("time_us", "service", "instance", "level", "event", "trace_id", "request_id", "order_id", "fields")
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    time_us: int
    service: str
    instance: str
    level: str
    event: str
    trace_id: str
    request_id: str
    order_id: str
    fields: _containers.ScalarMap[str, str]
    def __init__(self, time_us: _Optional[int] = ..., service: _Optional[str] = ..., instance: _Optional[str] = ..., level: _Optional[str] = ..., event: _Optional[str] = ..., trace_id: _Optional[str] = ..., request_id: _Optional[str] = ..., order_id: _Optional[str] = ..., fields: _Optional[_Mapping[str, str]] = ...) -> None: ...
