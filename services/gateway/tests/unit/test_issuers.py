"""ORDERHUB_OIDC_ISSUERS: what is taken, and the one line for each mistake; ids of principals; claims at a path."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from orderhub_chassis import settings as chassis
from orderhub_gateway.settings import Settings
from orderhub_gateway.tokens import claim_at, principal_id

VARIABLE = "ORDERHUB_OIDC_ISSUERS"
KEYCLOAK = Path(__file__).parents[4] / "deploy" / "keycloak"
NEEDED: dict[str, Any] = {
    **{f"{name}_address": "127.0.0.1:9" for name in ("auth", "inventory", "orders", "payments", "delivery")},
    "redis_url": "redis://127.0.0.1:9", "internal_key": "i" * 40, "cursor_key": "c" * 40,
}  # fmt: skip
GOOD: dict[str, Any] = {
    "issuer": "https://login.example/realms/shop", "audience": "orderhub", "roles_claim": "realm_access.roles",
    "role_map": {"customer": "customer", "staff": "operator"},
}  # fmt: skip
BAD: list[tuple[dict[str, Any], str]] = [
    ({"issuer": "http://login.example"}, "issuer: must be https:// (http:// only for this machine)"),
    ({"issuer": "http://127.0.0.1.example"}, "issuer: must be https:// (http:// only for this machine)"),
    ({"issuer": "login.example"}, "issuer: must be a URL such as https://login.example/realms/shop"),
    ({"issuer": "https://a:secret@login.example"}, "issuer: must be a URL such as https://login.example/realms/shop"),
    ({"issuer": "https://login.example/ x"}, "issuer: must be a URL such as https://login.example/realms/shop"),
    ({"issuer": "https://login.example:port"}, "issuer: must be a URL such as https://login.example/realms/shop"),
    ({"issuer": "https://login.example?a=b"}, "issuer: must have no query and no fragment"),
    ({"issuer": 7}, "issuer: must be text"),
    ({"issuer": None}, "issuer: must be text"),
    ({"audience": ""}, "audience: must not be empty"),
    ({"audience": ["orderhub"]}, "audience: must be text"),
    ({"roles_claim": ""}, "roles_claim: must not be empty"),
    ({"role_map": {}}, "role_map: must not be empty"),
    ({"role_map": ["customer"]}, "role_map: must be a table"),
    ({"role_map": {"a": "admin"}}, "role_map.a: must be one of customer, vendor, courier or operator, not 'admin'"),
    ({"role_map": {"a": "service"}}, "role_map.a: must be one of customer, vendor, courier or operator, not 'service'"),
    ({"role_map": {"a": "vendor"}}, "vendor_claim: is required where role_map gives the role vendor"),
    ({"algorithms": ["RS256", "HS256"]}, "algorithms.1: must be one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or ES512, not 'HS256'"),
    ({"algorithms": ["none"]}, "algorithms.0: must be one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or ES512, not 'none'"),
    ({"algorithms": []}, "algorithms: must not be empty"),
    ({"algorithms": "RS256"}, "algorithms: must be a list, not 'RS256'"),
    ({"clock_skew": 301}, "clock_skew: must be 0 to 300 seconds"),
    ({"clock_skew": -1}, "clock_skew: must be 0 to 300 seconds"),
    ({"clock_skew": "soon"}, "clock_skew: must be a time: seconds, or ISO 8601 such as PT5M, not 'soon'"),
    ({"jwks_refresh": 0.5}, "jwks_refresh: must be 1 second to 1 day"),
    ({"jwks_keep": 300}, "jwks_keep: must be longer than jwks_refresh, and 7 days at most"),
    ({"jwks_keep": 8 * 86_400}, "jwks_keep: must be longer than jwks_refresh, and 7 days at most"),
    ({"jwks_url": "http://keycloak:8080/certs"}, "jwks_url: must be https:// (http:// only for this machine, or with jwks_insecure)"),
    ({"jwks_url": "ftp://login.example/certs"}, "jwks_url: must be a URL such as https://login.example/realms/shop"),
    ({"jwks_insecure": True}, "jwks_insecure: is about jwks_url, which is not given"),
    ({"colour": "red"}, "colour: is no field of an issuer"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(monkeypatch: pytest.MonkeyPatch, value: Any, **over: Any) -> Any:
    monkeypatch.setenv(VARIABLE, value if isinstance(value, str) else json.dumps(value))
    return chassis.load(Settings, **{**NEEDED, **over}).oidc_issuers


def test_without_the_setting_only_auth_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert chassis.load(Settings, **NEEDED).oidc_issuers == ()
    assert loaded(monkeypatch, "") == ()


def test_an_issuer_has_safe_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = loaded(monkeypatch, [GOOD])
    assert one.algorithms == ("RS256", "ES256", "PS256")
    assert (one.clock_skew, one.jwks_refresh, one.jwks_keep) == (
        timedelta(seconds=30),
        timedelta(minutes=5),
        timedelta(hours=1),
    )
    assert (one.jwks_url, one.jwks_insecure, one.vendor_claim) == (None, False, "")


@pytest.mark.parametrize(
    "over",
    [
        {"issuer": "http://127.0.0.1:18080/realms/x"}, {"issuer": "http://[::1]:1/"}, {"issuer": "http://localhost"},
        {"jwks_url": "http://keycloak:8080/certs", "jwks_insecure": True}, {"jwks_url": "https://login.example/certs?policy=b"},
        {"clock_skew": "PT1M", "jwks_refresh": 60, "jwks_keep": 61}, {"algorithms": ["ES384"]},
    ],
)  # fmt: skip
def test_what_is_allowed_is_taken(over: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(loaded(monkeypatch, [{**GOOD, **over}])) == 1


@pytest.mark.parametrize(("over", "complaint"), BAD)
def test_each_mistake_is_one_line_that_names_its_field(
    over: dict[str, Any], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(chassis.SettingsError) as refused:
        loaded(monkeypatch, [GOOD, {**GOOD, "issuer": "https://second.example", **over}])
    assert str(refused.value) == f"{VARIABLE}: entry 2: {complaint}"


@pytest.mark.parametrize("field", ["issuer", "audience", "roles_claim", "role_map"])
def test_what_is_required_is_named(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(chassis.SettingsError, match=rf"^{VARIABLE}: entry 1: {field}: is required$"):
        loaded(monkeypatch, [{name: value for name, value in GOOD.items() if name != field}])


def test_several_mistakes_are_all_in_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(chassis.SettingsError) as refused:
        loaded(monkeypatch, [GOOD, GOOD, {**GOOD, "audience": "", "colour": 1}, 7])
    assert str(refused.value) == (
        f"{VARIABLE}: entry 3: audience: must not be empty, and entry 3: colour: is no field of an issuer,"
        " and entry 4: must be a table, and issuer: https://login.example/realms/shop stands here twice"
    )


@pytest.mark.parametrize("text", ["{}", "nonsense", '"https://login.example"', "[" * 100_000])
def test_what_is_no_list_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(chassis.SettingsError, match=rf"^{VARIABLE}: must be a JSON list of issuers"):
        loaded(monkeypatch, text)


def test_our_own_auth_is_no_other_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    own = "https://shop.example"
    with pytest.raises(
        chassis.SettingsError, match=rf"^{VARIABLE}: issuer: {own} is this installation itself$"
    ):
        loaded(monkeypatch, [{**GOOD, "issuer": own}], public_url=own)


def test_the_settings_file_takes_the_list_as_yaml(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    (folder / "orderhub.yaml").write_text(
        "oidc_issuers:\n- issuer: https://login.example/realms/shop\n  audience: orderhub\n"
        "  roles_claim: realm_access.roles\n  role_map: {customer: customer, staff: operator}\n  clock_skew: 5\n"
    )
    (one,) = chassis.load(Settings, **NEEDED).oidc_issuers
    assert (one.role_map, one.clock_skew) == (GOOD["role_map"], timedelta(seconds=5))
    assert loaded(monkeypatch, [{**GOOD, "clock_skew": 7}])[0].clock_skew == timedelta(seconds=7)


def test_the_examples_for_keycloak_are_taken_and_are_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = loaded(monkeypatch, (KEYCLOAK / "issuers.json").read_text())
    monkeypatch.delenv(VARIABLE)
    (yaml,) = re.findall(r"```yaml\n(.*?)```", (KEYCLOAK / "README.md").read_text(), re.DOTALL)
    (folder / "orderhub.yaml").write_text(yaml)
    assert chassis.load(Settings, **NEEDED).oidc_issuers == (example,)


def test_the_realm_for_keycloak_has_no_secret_and_no_user_and_fits_the_example() -> None:
    text = (KEYCLOAK / "orderhub-realm.json").read_text()
    realm, (example,) = json.loads(text), json.loads((KEYCLOAK / "issuers.json").read_text())
    assert not [word for word in ("secret", "privateKey", "credentials", "users") if f'"{word}"' in text]
    assert set(example["role_map"]) == {role["name"] for role in realm["roles"]["realm"]}
    (client,) = realm["clients"]
    assert client["redirectUris"] == [
        f"http://{host}:8080/oidc/callback" for host in ("127.0.0.1", "localhost")
    ]
    assert client["attributes"]["pkce.code.challenge.method"] == "S256"
    audience, vendor = [mapper["config"] for mapper in client["protocolMappers"]]
    assert (audience["included.custom.audience"], vendor["claim.name"]) == (
        example["audience"],
        example["vendor_claim"],
    )


def test_a_mistake_in_the_settings_file_names_the_variable(folder: Path) -> None:
    (folder / "orderhub.yaml").write_text("gateway:\n  oidc_issuers:\n  - issuer: 2026-01-01\n")
    with pytest.raises(
        chassis.SettingsError, match="oidc_issuers: must hold texts, numbers, lists and tables only"
    ):
        chassis.load(Settings, **NEEDED)
    (folder / "orderhub.yaml").write_text(
        "gateway:\n  oidc_issuers:\n  - {issuer: https://login.example, audience: a}\n"
    )
    with pytest.raises(chassis.SettingsError, match=rf"^{VARIABLE}: entry 1: roles_claim: is required"):
        chassis.load(Settings, **NEEDED)


def test_a_principal_is_of_one_issuer_and_of_no_user_of_ours() -> None:
    subject = "0198c0de-0000-7000-8000-000000000001"
    ids = {
        principal_id(issuer, subject)
        for issuer in ("https://a.example", "https://b.example", "https://a.example/")
    }
    assert len(ids) == 3
    assert {UUID(id).version for id in ids} == {5}
    assert principal_id("https://a.example", "x y") != principal_id("https://a.example", "x  y")
    assert principal_id("https://a.example", subject) == "41f95082-1d14-5b9a-bba9-409666087ced"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("roles", ["a"]), ("realm_access.roles", ["b"]), ("resource_access.my.client.roles", ["c"]),
        ("https://shop.example/roles", ["d"]), ("a.b", 1), ("realm_access.none", None), ("roles.a", None), ("x", None),
    ],
)  # fmt: skip
def test_a_claim_is_found_at_its_path_although_names_have_dots(path: str, found: Any) -> None:
    claims = {
        "roles": ["a"], "realm_access": {"roles": ["b"]}, "resource_access": {"my.client": {"roles": ["c"]}},
        "https://shop.example/roles": ["d"], "a": {"b": 2}, "a.b": 1,
    }  # fmt: skip
    assert claim_at(claims, path) == found
