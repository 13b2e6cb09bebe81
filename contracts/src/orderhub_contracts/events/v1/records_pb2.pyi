from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Record(_message.Message):
    __slots__ = ("id", "key", "type", "payload", "time_us", "source", "subject", "traceparent", "actor", "vendor_id", "saga", "index")
    ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    SAGA_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    id: str
    key: str
    type: str
    payload: bytes
    time_us: int
    source: str
    subject: str
    traceparent: str
    actor: str
    vendor_id: str
    saga: SagaRef
    index: int
    def __init__(self, id: _Optional[str] = ..., key: _Optional[str] = ..., type: _Optional[str] = ..., payload: _Optional[bytes] = ..., time_us: _Optional[int] = ..., source: _Optional[str] = ..., subject: _Optional[str] = ..., traceparent: _Optional[str] = ..., actor: _Optional[str] = ..., vendor_id: _Optional[str] = ..., saga: _Optional[_Union[SagaRef, _Mapping]] = ..., index: _Optional[int] = ...) -> None: ...

class SagaRef(_message.Message):
    __slots__ = ("order_id", "run_id", "step", "epoch", "compensation")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    COMPENSATION_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    run_id: str
    step: int
    epoch: int
    compensation: bool
    def __init__(self, order_id: _Optional[str] = ..., run_id: _Optional[str] = ..., step: _Optional[int] = ..., epoch: _Optional[int] = ..., compensation: _Optional[bool] = ...) -> None: ...

class RecordBatch(_message.Message):
    __slots__ = ("format_version", "records")
    FORMAT_VERSION_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    format_version: int
    records: _containers.RepeatedCompositeFieldContainer[Record]
    def __init__(self, format_version: _Optional[int] = ..., records: _Optional[_Iterable[_Union[Record, _Mapping]]] = ...) -> None: ...

class PartitionedBatch(_message.Message):
    __slots__ = ("format_version", "parts")
    FORMAT_VERSION_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    format_version: int
    parts: _containers.RepeatedCompositeFieldContainer[PartitionRecords]
    def __init__(self, format_version: _Optional[int] = ..., parts: _Optional[_Iterable[_Union[PartitionRecords, _Mapping]]] = ...) -> None: ...

class PartitionRecords(_message.Message):
    __slots__ = ("partition", "count", "batch")
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    partition: int
    count: int
    batch: bytes
    def __init__(self, partition: _Optional[int] = ..., count: _Optional[int] = ..., batch: _Optional[bytes] = ...) -> None: ...

class MessageDeadLettered(_message.Message):
    __slots__ = ("dead_letter_id", "consumer", "topic", "reason", "attempts", "record")
    DEAD_LETTER_ID_FIELD_NUMBER: _ClassVar[int]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    dead_letter_id: str
    consumer: str
    topic: str
    reason: str
    attempts: int
    record: Record
    def __init__(self, dead_letter_id: _Optional[str] = ..., consumer: _Optional[str] = ..., topic: _Optional[str] = ..., reason: _Optional[str] = ..., attempts: _Optional[int] = ..., record: _Optional[_Union[Record, _Mapping]] = ...) -> None: ...
