from orderhub_contracts.auth.v1 import auth_pb2 as _auth_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UpdateProfileRequest(_message.Message):
    __slots__ = ("name", "phone", "address")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PHONE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    name: str
    phone: str
    address: _auth_pb2.PostalAddress
    def __init__(self, name: _Optional[str] = ..., phone: _Optional[str] = ..., address: _Optional[_Union[_auth_pb2.PostalAddress, _Mapping]] = ...) -> None: ...
