from orderhub_contracts.auth.v1 import auth_pb2 as _auth_pb2
from orderhub_contracts.common.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetMetadataRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetMetadataResponse(_message.Message):
    __slots__ = ("json",)
    JSON_FIELD_NUMBER: _ClassVar[int]
    json: str
    def __init__(self, json: _Optional[str] = ...) -> None: ...

class Parameter(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Browser(_message.Message):
    __slots__ = ("cookie", "client")
    COOKIE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    cookie: str
    client: _auth_pb2.Client
    def __init__(self, cookie: _Optional[str] = ..., client: _Optional[_Union[_auth_pb2.Client, _Mapping]] = ...) -> None: ...

class AuthorizeRequest(_message.Message):
    __slots__ = ("parameters", "browser")
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    BROWSER_FIELD_NUMBER: _ClassVar[int]
    parameters: _containers.RepeatedCompositeFieldContainer[Parameter]
    browser: Browser
    def __init__(self, parameters: _Optional[_Iterable[_Union[Parameter, _Mapping]]] = ..., browser: _Optional[_Union[Browser, _Mapping]] = ...) -> None: ...

class SignInRequest(_message.Message):
    __slots__ = ("interaction", "email", "password", "code", "browser")
    INTERACTION_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    BROWSER_FIELD_NUMBER: _ClassVar[int]
    interaction: str
    email: str
    password: str
    code: str
    browser: Browser
    def __init__(self, interaction: _Optional[str] = ..., email: _Optional[str] = ..., password: _Optional[str] = ..., code: _Optional[str] = ..., browser: _Optional[_Union[Browser, _Mapping]] = ...) -> None: ...

class DecideRequest(_message.Message):
    __slots__ = ("interaction", "yes", "browser")
    INTERACTION_FIELD_NUMBER: _ClassVar[int]
    YES_FIELD_NUMBER: _ClassVar[int]
    BROWSER_FIELD_NUMBER: _ClassVar[int]
    interaction: str
    yes: bool
    browser: Browser
    def __init__(self, interaction: _Optional[str] = ..., yes: _Optional[bool] = ..., browser: _Optional[_Union[Browser, _Mapping]] = ...) -> None: ...

class EndSessionRequest(_message.Message):
    __slots__ = ("parameters", "browser")
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    BROWSER_FIELD_NUMBER: _ClassVar[int]
    parameters: _containers.RepeatedCompositeFieldContainer[Parameter]
    browser: Browser
    def __init__(self, parameters: _Optional[_Iterable[_Union[Parameter, _Mapping]]] = ..., browser: _Optional[_Union[Browser, _Mapping]] = ...) -> None: ...

class VisitDeviceRequest(_message.Message):
    __slots__ = ("user_code", "browser")
    USER_CODE_FIELD_NUMBER: _ClassVar[int]
    BROWSER_FIELD_NUMBER: _ClassVar[int]
    user_code: str
    browser: Browser
    def __init__(self, user_code: _Optional[str] = ..., browser: _Optional[_Union[Browser, _Mapping]] = ...) -> None: ...

class DecideDeviceRequest(_message.Message):
    __slots__ = ("interaction", "user_code", "decision", "browser")
    INTERACTION_FIELD_NUMBER: _ClassVar[int]
    USER_CODE_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    BROWSER_FIELD_NUMBER: _ClassVar[int]
    interaction: str
    user_code: str
    decision: str
    browser: Browser
    def __init__(self, interaction: _Optional[str] = ..., user_code: _Optional[str] = ..., decision: _Optional[str] = ..., browser: _Optional[_Union[Browser, _Mapping]] = ...) -> None: ...

class Turn(_message.Message):
    __slots__ = ("redirect", "page", "cookie")
    REDIRECT_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    COOKIE_FIELD_NUMBER: _ClassVar[int]
    redirect: Redirect
    page: Page
    cookie: str
    def __init__(self, redirect: _Optional[_Union[Redirect, _Mapping]] = ..., page: _Optional[_Union[Page, _Mapping]] = ..., cookie: _Optional[str] = ...) -> None: ...

class Redirect(_message.Message):
    __slots__ = ("uri", "post", "fields")
    URI_FIELD_NUMBER: _ClassVar[int]
    POST_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    uri: str
    post: bool
    fields: _containers.RepeatedCompositeFieldContainer[Parameter]
    def __init__(self, uri: _Optional[str] = ..., post: _Optional[bool] = ..., fields: _Optional[_Iterable[_Union[Parameter, _Mapping]]] = ...) -> None: ...

class Page(_message.Message):
    __slots__ = ("kind", "interaction", "client_name", "scopes", "notice", "detail", "email", "user_code", "retry_after")
    KIND_FIELD_NUMBER: _ClassVar[int]
    INTERACTION_FIELD_NUMBER: _ClassVar[int]
    CLIENT_NAME_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    USER_CODE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    kind: str
    interaction: str
    client_name: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    notice: str
    detail: str
    email: str
    user_code: str
    retry_after: int
    def __init__(self, kind: _Optional[str] = ..., interaction: _Optional[str] = ..., client_name: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., notice: _Optional[str] = ..., detail: _Optional[str] = ..., email: _Optional[str] = ..., user_code: _Optional[str] = ..., retry_after: _Optional[int] = ...) -> None: ...

class ClientCall(_message.Message):
    __slots__ = ("parameters", "authorization", "client")
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZATION_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    parameters: _containers.RepeatedCompositeFieldContainer[Parameter]
    authorization: str
    client: _auth_pb2.Client
    def __init__(self, parameters: _Optional[_Iterable[_Union[Parameter, _Mapping]]] = ..., authorization: _Optional[str] = ..., client: _Optional[_Union[_auth_pb2.Client, _Mapping]] = ...) -> None: ...

class UserInfoRequest(_message.Message):
    __slots__ = ("access_token",)
    ACCESS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    access_token: str
    def __init__(self, access_token: _Optional[str] = ...) -> None: ...

class ClientAnswer(_message.Message):
    __slots__ = ("status", "json", "www_authenticate")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    WWW_AUTHENTICATE_FIELD_NUMBER: _ClassVar[int]
    status: int
    json: str
    www_authenticate: str
    def __init__(self, status: _Optional[int] = ..., json: _Optional[str] = ..., www_authenticate: _Optional[str] = ...) -> None: ...

class RegisteredClient(_message.Message):
    __slots__ = ("id", "settings", "disabled", "created_at", "updated_at", "secret")
    ID_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    id: str
    settings: ClientSettings
    disabled: bool
    created_at: str
    updated_at: str
    secret: str
    def __init__(self, id: _Optional[str] = ..., settings: _Optional[_Union[ClientSettings, _Mapping]] = ..., disabled: _Optional[bool] = ..., created_at: _Optional[str] = ..., updated_at: _Optional[str] = ..., secret: _Optional[str] = ...) -> None: ...

class ClientSettings(_message.Message):
    __slots__ = ("name", "redirect_uris", "post_logout_redirect_uris", "grant_types", "token_endpoint_auth_method", "scopes", "jwks", "backchannel_logout_uri", "id_token_signed_response_alg", "require_pkce", "first_party", "roles", "vendor_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URIS_FIELD_NUMBER: _ClassVar[int]
    POST_LOGOUT_REDIRECT_URIS_FIELD_NUMBER: _ClassVar[int]
    GRANT_TYPES_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ENDPOINT_AUTH_METHOD_FIELD_NUMBER: _ClassVar[int]
    SCOPES_FIELD_NUMBER: _ClassVar[int]
    JWKS_FIELD_NUMBER: _ClassVar[int]
    BACKCHANNEL_LOGOUT_URI_FIELD_NUMBER: _ClassVar[int]
    ID_TOKEN_SIGNED_RESPONSE_ALG_FIELD_NUMBER: _ClassVar[int]
    REQUIRE_PKCE_FIELD_NUMBER: _ClassVar[int]
    FIRST_PARTY_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    VENDOR_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    redirect_uris: _containers.RepeatedScalarFieldContainer[str]
    post_logout_redirect_uris: _containers.RepeatedScalarFieldContainer[str]
    grant_types: _containers.RepeatedScalarFieldContainer[str]
    token_endpoint_auth_method: str
    scopes: _containers.RepeatedScalarFieldContainer[str]
    jwks: str
    backchannel_logout_uri: str
    id_token_signed_response_alg: str
    require_pkce: bool
    first_party: bool
    roles: _containers.RepeatedScalarFieldContainer[str]
    vendor_id: str
    def __init__(self, name: _Optional[str] = ..., redirect_uris: _Optional[_Iterable[str]] = ..., post_logout_redirect_uris: _Optional[_Iterable[str]] = ..., grant_types: _Optional[_Iterable[str]] = ..., token_endpoint_auth_method: _Optional[str] = ..., scopes: _Optional[_Iterable[str]] = ..., jwks: _Optional[str] = ..., backchannel_logout_uri: _Optional[str] = ..., id_token_signed_response_alg: _Optional[str] = ..., require_pkce: _Optional[bool] = ..., first_party: _Optional[bool] = ..., roles: _Optional[_Iterable[str]] = ..., vendor_id: _Optional[str] = ...) -> None: ...

class CreateClientRequest(_message.Message):
    __slots__ = ("settings",)
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    settings: ClientSettings
    def __init__(self, settings: _Optional[_Union[ClientSettings, _Mapping]] = ...) -> None: ...

class GetClientRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ListClientsRequest(_message.Message):
    __slots__ = ("page",)
    PAGE_FIELD_NUMBER: _ClassVar[int]
    page: _common_pb2.PageRequest
    def __init__(self, page: _Optional[_Union[_common_pb2.PageRequest, _Mapping]] = ...) -> None: ...

class ListClientsResponse(_message.Message):
    __slots__ = ("items", "next_cursor")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[RegisteredClient]
    next_cursor: str
    def __init__(self, items: _Optional[_Iterable[_Union[RegisteredClient, _Mapping]]] = ..., next_cursor: _Optional[str] = ...) -> None: ...

class UpdateClientRequest(_message.Message):
    __slots__ = ("id", "settings", "disabled")
    ID_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    id: str
    settings: ClientSettings
    disabled: bool
    def __init__(self, id: _Optional[str] = ..., settings: _Optional[_Union[ClientSettings, _Mapping]] = ..., disabled: _Optional[bool] = ...) -> None: ...

class DeleteClientResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
