"""The issuers of access tokens beside our own auth: what `ORDERHUB_OIDC_ISSUERS` says of each, checked as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

VARIABLE: Final = "ORDERHUB_OIDC_ISSUERS"
Role = Literal["customer", "vendor", "courier", "operator"]
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
]  # fmt: skip
"""Signatures whose key can be public: with `HS…` whoever can check a token can make one, and `none` is nobody's."""
DEFAULT_ALGORITHMS: Final[tuple[Algorithm, ...]] = ("RS256", "ES256", "PS256")
WORDS: Final = {
    "missing": "is required",
    "extra_forbidden": "is no field of an issuer",
    "literal_error": "must be one of {expected}",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "string_type": "must be text",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "tuple_type": "must be a list",
    "time_delta_parsing": "must be a time: seconds, or ISO 8601 such as PT5M",
    "time_delta_type": "must be a time: seconds, or ISO 8601 such as PT5M",
    "value_error": "{error}",
}
SILENT: Final = ("missing", "value_error", "extra_forbidden")
"""Errors after which the value is not repeated: there is none, or it may hold a password."""
SHOWN: Final = 60
"""Characters of a wrong value that are repeated to the user."""


def _url(value: str) -> str:
    """Without a name and a password, which would end in logs."""
    try:
        parts = urlsplit(value)
        plain = parts.hostname and parts.scheme in ("http", "https") and (parts.port or True)
    except ValueError:
        plain = False
    if not plain or not value.isascii() or any(c.isspace() for c in value) or parts.username is not None:
        raise ValueError("must be a URL such as https://login.example/realms/shop")
    return value


def _plain(value: str) -> str:
    """RFC 8414, section 2."""
    if "?" in value or "#" in value:
        raise ValueError("must have no query and no fragment")
    return value


def is_private_channel(url: str) -> bool:
    """Whether nobody on the way can change what comes from there: https, or this very machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Text = Annotated[str, Field(min_length=1)]
Url = Annotated[str, AfterValidator(_url)]


class Issuer(BaseModel):
    """One issuer. `issuer` is compared letter by letter with a token's `iss` (RFC 7519, section 4.1.1)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    issuer: Annotated[Url, AfterValidator(_plain)]
    audience: Text
    roles_claim: Text
    role_map: Annotated[dict[str, Role], Field(min_length=1)]
    vendor_claim: str = ""
    jwks_url: Url | None = None
    jwks_insecure: bool = False
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1, strict=False)] = DEFAULT_ALGORITHMS
    clock_skew: Annotated[timedelta, Field(strict=False)] = timedelta(seconds=30)
    jwks_refresh: Annotated[timedelta, Field(strict=False)] = timedelta(minutes=5)
    jwks_keep: Annotated[timedelta, Field(strict=False)] = timedelta(hours=1)

    @model_validator(mode="after")
    def _fits(self) -> Issuer:
        if wrong := next(self._mistakes(), None):
            raise ValueError(wrong)
        return self

    def _mistakes(self) -> Iterator[str]:
        if not is_private_channel(self.issuer):
            yield "issuer: must be https:// (http:// only for this machine)"
        if self.jwks_url and not (self.jwks_insecure or is_private_channel(self.jwks_url)):
            yield "jwks_url: must be https:// (http:// only for this machine, or with jwks_insecure)"
        if self.jwks_insecure and not self.jwks_url:
            yield "jwks_insecure: is about jwks_url, which is not given"
        if "vendor" in self.role_map.values() and not self.vendor_claim:
            yield "vendor_claim: is required where role_map gives the role vendor"
        yield from self._bad_times()

    def _bad_times(self) -> Iterator[str]:
        if not timedelta(0) <= self.clock_skew <= timedelta(minutes=5):
            yield "clock_skew: must be 0 to 300 seconds"
        if not timedelta(seconds=1) <= self.jwks_refresh <= timedelta(days=1):
            yield "jwks_refresh: must be 1 second to 1 day"
        if not self.jwks_refresh < self.jwks_keep <= timedelta(days=7):
            yield "jwks_keep: must be longer than jwks_refresh, and 7 days at most"


def parse(value: Any) -> tuple[Issuer, ...]:
    """The issuers of a JSON list, or of one that is read already. Raises ValueError with all mistakes in one line."""
    entries = _decoded(value) if isinstance(value, str) else value
    if not isinstance(entries, list | tuple):
        raise ValueError("must be a JSON list of issuers")
    found: list[Issuer] = []
    wrong: list[str] = []
    for number, entry in enumerate(entries, 1):
        try:
            found.append(entry if isinstance(entry, Issuer) else Issuer.model_validate(entry))
        except ValidationError as error:
            wrong += [f"entry {number}: {words}" for words in _mistakes(error)]
    if wrong := wrong + _doubled(found):
        raise ValueError(", and ".join(wrong))
    return tuple(found)


def _decoded(text: str) -> Any:
    if not text.strip():
        return []
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"must be a JSON list of issuers: {error}") from None


def _doubled(found: list[Issuer]) -> list[str]:
    names = [one.issuer for one in found]
    doubled = dict.fromkeys(name for name in names if names.count(name) > 1)
    return [f"issuer: {name} stands here twice" for name in doubled]


def _mistakes(error: ValidationError) -> list[str]:
    """One for each field: what comes after the first is often only its consequence."""
    found: dict[str, str] = {}
    for item in error.errors(include_url=False):
        found.setdefault(str(item["loc"][:1]), _words(item))
    return list(found.values())


def _words(item: ErrorDetails) -> str:
    template = WORDS.get(item["type"], item["msg"][:1].lower() + item["msg"][1:])
    context = {name: str(known).replace("'", "") for name, known in item.get("ctx", {}).items()}
    said = template.format(**context)
    where = ".".join(str(part) for part in item["loc"] if part != "[key]")
    if item["type"] not in SILENT and isinstance(item["input"], str) and item["input"]:
        said += f", not {item['input'][:SHOWN]!r}"
    return f"{where}: {said}" if where else said
