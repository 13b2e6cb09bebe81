"""What `up` tells the services is all that they need, and the documents say what the classes say."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from orderhub import configuration, environment, home, inside, programs, topology
from orderhub.exits import Exit, Refused
from orderhub.output import Output
from orderhub.settings import loaded, settings_of
from orderhub_chassis import settings as chassis

Rows = Callable[[], dict[str, tuple[str, str]]]


def given() -> dict[str, str]:
    names = [service.name for service in topology.SERVICES if service.has_database]
    chosen = environment.Ports(1, 2, dict.fromkeys(names, 3), dict.fromkeys(names, 4))
    servers = environment.Servers(lambda name: f"postgresql://localhost/{name}", "unix:///redis")
    return environment.of_services(lambda name: name * 40, servers, chosen, Path("/ready"), {})


@pytest.mark.parametrize("name", configuration.CARRIERS)
def test_up_tells_each_service_all_that_it_requires(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in given().items():
        monkeypatch.setenv(variable, value)
    chassis.load(settings_of(name))


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("postgresql://me:p%40s%2Fs%23@there:1/x?sslmode=require", "postgresql://me:p%40s%2Fs%23@there:1/y?sslmode=require"),
        ("postgresql:///x?host=/run&pooler=transaction", "postgresql:///y?host=/run&pooler=transaction"),
        ("postgresql://there?sslrootcert=/a/b.pem", "postgresql://there/y?sslrootcert=/a/b.pem"),
        ("postgres://a:1,b:2/x", "postgres://a:1,b:2/y"),
        ("postgresql://there", "postgresql://there/y"),
    ],
)  # fmt: skip
def test_of_a_servers_url_only_the_database_is_replaced(url: str, database: str) -> None:
    assert environment.on_server(url)("y") == database


def test_a_secret_that_is_given_becomes_the_folders() -> None:
    wanted = environment.secrets_wanted(
        {"ORDERHUB_AUTH_KEY_ENCRYPTION_KEY": "k", "ORDERHUB_CURSOR_KEY": ""}, {}
    )
    assert wanted == {"key_encryption_key": "k"}
    again = {"ORDERHUB_AUTH_KEY_ENCRYPTION_KEY": "k", "HOME": "/"}
    assert environment.secrets_wanted(again, {**wanted, "internal_key": "i"}) == {
        **wanted,
        "internal_key": "i",
    }


@pytest.mark.parametrize("variable", environment.SECRETS)
def test_a_secret_that_contradicts_the_folders_is_named(variable: str) -> None:
    kept = {environment.SECRETS[variable]: "as it was"}
    with pytest.raises(Refused, match=f"^{variable}: .*secrets.json") as refused:
        environment.secrets_wanted({variable: "another"}, kept)
    assert refused.value.code == Exit.USAGE


def test_secrets_that_contradict_each_other_are_named() -> None:
    given = {"ORDERHUB_SIMULATOR_API_KEY": "one", "ORDERHUB_PAYMENTS_SIMULATOR_API_KEY": "two"}
    with pytest.raises(Refused, match=r"PAYMENTS_SIMULATOR_API_KEY: .* ORDERHUB_SIMULATOR_API_KEY"):
        environment.secrets_wanted(given, {})


def test_what_is_given_and_not_used_is_known() -> None:
    told = given()
    assert environment.unused(told, told) == []
    assert environment.unused(told, {"ORDERHUB_GATEWAY_PORT": "9000", "ORDERHUB_PORT": "9000"}) == [
        "ORDERHUB_GATEWAY_PORT"
    ]
    assert environment.unused(told, {"ORDERHUB_HTTP_PORT": "zz"}) == ["ORDERHUB_HTTP_PORT"]


@pytest.mark.parametrize("variable", ["ORDERHUB_DATABASE_URL", "ORDERHUB_REDIS_URL"])
def test_a_url_of_another_kind_is_refused_by_its_variable_and_not_shown(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://me:hidden@there")
    with pytest.raises(Refused, match=f"^{variable}: [^\n]*must be a URL") as refused:
        loaded()
    assert refused.value.code == Exit.USAGE
    assert "hidden" not in str(refused.value)


def test_no_secret_has_a_default() -> None:
    for name in configuration.CARRIERS:
        for variable in configuration.variables(settings_of(name)):
            assert not (variable.secret and variable.default), variable


def test_the_documents_are_those_of_the_classes() -> None:
    assert configuration.write(Output(as_json=True), check=True) == Exit.DONE


def test_a_document_that_is_behind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "document", lambda: "something else")
    with pytest.raises(Refused, match=r"docs/configuration\.md") as refused:
        configuration.write(Output(), check=True)
    assert refused.value.code == Exit.FOUND


def test_every_process_carries_each_service_once() -> None:
    for processes in get_args(topology.Processes):
        carried = [name for names in topology.GROUPS[processes].values() for name in names]
        assert sorted(carried) == sorted(topology.NAMES)


def test_the_door_closes_first_and_the_provider_last() -> None:
    assert programs.stop_order(["simulator", "orders", "front", "participants"]) == [
        ["front"],
        ["orders", "participants"],
        ["simulator"],
    ]
    assert programs.stop_order(["simulator", "orders", "gateway"]) == [["gateway"], ["orders"], ["simulator"]]


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Rows:
    """What `config` shows in a folder of its own, by variable."""
    for name in [name for name in os.environ if name.startswith("ORDERHUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def shown() -> dict[str, tuple[str, str]]:
        configuration.show(home.at(tmp_path / "home"), Output(as_json=True))
        found = json.loads(capsys.readouterr().out)
        assert len({row["variable"] for row in found}) == len(found)
        return {row["variable"]: (row["value"], row["from"]) for row in found}

    return shown


def test_config_shows_where_each_value_comes_from(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("orderhub.yaml").write_text(
        "log_level: debug\npublic_url: http://there\norders:\n  consumer_batch: 33\n"
    )
    Path(".env").write_text("ORDERHUB_PORT=8081\nORDERHUB_LOG_FORMAT=console\n")
    monkeypatch.setenv("ORDERHUB_LOG_FORMAT", "json")
    monkeypatch.setenv("ORDERHUB_INTERNAL_KEY", "hidden")
    found = rows()
    assert found["ORDERHUB_LOG_LEVEL"] == ("debug", "orderhub.yaml")
    assert found["ORDERHUB_PUBLIC_URL"] == ("http://there", "orderhub.yaml")
    assert found["ORDERHUB_ORDERS_CONSUMER_BATCH"] == ("33", "orderhub.yaml")
    assert found["ORDERHUB_PORT"] == ("8081", ".env")
    assert found["ORDERHUB_LOG_FORMAT"] == ("json", "environment")
    assert found["ORDERHUB_INTERNAL_KEY"] == ("********", "environment")
    assert found["ORDERHUB_CURSOR_KEY"] == ("********", "orderhub up")
    assert found["ORDERHUB_CONSUMER_BATCH"][1] == "default"


def test_config_shows_what_up_does_not_take_from_the_user(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERHUB_GATEWAY_PORT", "9000")
    monkeypatch.setenv("ORDERHUB_HTTP_PORT", "9001")
    monkeypatch.setenv("ORDERHUB_ORDERS_DATABASE_URL", "postgresql://me:hidden@there/orders")
    monkeypatch.setenv("ORDERHUB_DATABASE_URL", "postgresql://me:hidden@there/")
    found = rows()
    instead = "orderhub up, instead of environment"
    assert found["ORDERHUB_GATEWAY_PORT"] == ("", instead)
    assert found["ORDERHUB_HTTP_PORT"] == ("", instead)
    assert found["ORDERHUB_ORDERS_DATABASE_URL"] == ("********", instead)
    assert found["ORDERHUB_DATABASE_URL"] == ("********", "environment")


def test_a_misspelt_variable_is_told(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERHUB_LOG_LEVLE", "debug")
    monkeypatch.setenv("ORDERHUB_ORDERS_LOG_LEVEL", "debug")
    monkeypatch.setenv("ORDERHUB_PASSWORD", "hidden")
    monkeypatch.setenv("ORDERHUB_MFA_CODE", "123456")
    found = rows()
    assert found["ORDERHUB_LOG_LEVLE"][1] == "environment, not known"
    assert found["ORDERHUB_ORDERS_LOG_LEVEL"] == ("debug", "environment")
    assert not {"ORDERHUB_PASSWORD", "ORDERHUB_MFA_CODE"} & found.keys()


def test_config_refuses_a_file_that_is_no_good(rows: Rows) -> None:
    Path("orderhub.yaml").write_text("log_level: [")
    with pytest.raises(Refused, match=r"^ORDERHUB_CONFIG: orderhub\.yaml cannot be read"):
        rows()


def test_an_operator_s_container_finds_the_services_by_the_gateway_s_variables() -> None:
    told = {"ORDERHUB_GATEWAY_AUTH_ADDRESS": "auth:50051", "ORDERHUB_GATEWAY_ORDERS_ADDRESS": ""}
    assert environment.peers_given(told) == {"auth.grpc": "auth:50051"}
    assert environment.peers_given({}) == {}


async def test_without_a_folder_the_way_inside_names_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = home.at(tmp_path / "nothing")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORDERHUB_GATEWAY_AUTH_ADDRESS", "127.0.0.1:1")
    with pytest.raises(Refused, match="ORDERHUB_INTERNAL_KEY: is required"):
        await inside.running(place).__aenter__()
    monkeypatch.setenv("ORDERHUB_INTERNAL_KEY", "k" * 32)
    with pytest.raises(Refused, match="ORDERHUB_GATEWAY_INVENTORY_ADDRESS: is required"):
        await inside.running(place).__aenter__()
    monkeypatch.delenv("ORDERHUB_GATEWAY_AUTH_ADDRESS")
    with pytest.raises(Refused, match="does not run"):
        await inside.running(place).__aenter__()


def test_a_wrong_issuer_is_a_mistake_that_keeps_up_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERHUB_OIDC_ISSUERS", '[{"issuer": "http://login.example"}]')
    assert configuration.unknown(chassis.given()) == []
    [said] = configuration.mistakes(chassis.given())
    assert said.startswith("ORDERHUB_OIDC_ISSUERS: entry 1: audience: is required, and ")


def test_the_settings_file_s_issuers_are_known_by_their_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("orderhub.yaml").write_text("oidc_issuers:\n- {issuer: 'https://login.example', audience: a}\n")
    found = chassis.given()
    assert found["ORDERHUB_OIDC_ISSUERS"].value == '[{"issuer": "https://login.example", "audience": "a"}]'
    assert configuration.unknown(found) == []
    [said] = configuration.mistakes(found)
    assert said.startswith("ORDERHUB_OIDC_ISSUERS: entry 1: roles_claim: is required, and ")
