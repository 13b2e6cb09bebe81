"""Settings: where a value comes from, what a mistake says, and that no secret is shown."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from typing import ClassVar

import pytest
from orderhub_chassis import settings
from orderhub_chassis.settings import PREFIX, ServiceSettings, SettingsError
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

REQUIRED = {
    "ORDERHUB_SHOP_DATABASE_URL": "postgresql:///shop",
    "ORDERHUB_REDIS_URL": "redis://127.0.0.1:1/0",
    "ORDERHUB_BUS": "postgresql:///bus",
    "ORDERHUB_INTERNAL_KEY": "i" * 40,
    "ORDERHUB_CURSOR_KEY": "c" * 40,
    "ORDERHUB_SHOP_TILL_KEY": "t" * 12,
}


class Settings(ServiceSettings):
    """A service's own, as every service writes it."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}SHOP_")
    service: ClassVar[str] = "shop"

    till_key: SecretStr = Field(min_length=10, description="Opens the till | and the safe.")
    opening: timedelta = Field(timedelta(minutes=90), description="How long it is open.")
    consumer_batch: int = Field(50, description="Most messages in one consumer transaction.")


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith(PREFIX) and "TEST" not in name:
            monkeypatch.delenv(name)
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_environment_wins_over_dotenv_and_that_over_the_file(monkeypatch, environment):
    (environment / "orderhub.yaml").write_text("grpc_port: 1\nhttp_port: 1\ndatabase_pool_size: 11\n")
    (environment / ".env").write_text("ORDERHUB_SHOP_GRPC_PORT=2\nORDERHUB_SHOP_HTTP_PORT=2\n")
    monkeypatch.setenv("ORDERHUB_SHOP_GRPC_PORT", "3")
    loaded = settings.load(Settings)
    assert (loaded.grpc_port, loaded.http_port, loaded.database_pool_size) == (3, 2, 11)
    assert loaded.consumer_batch == 50


def test_the_common_variable_stands_in_and_the_services_own_wins(monkeypatch, environment):
    monkeypatch.setenv("ORDERHUB_LOG_LEVEL", "warning")
    assert settings.load(Settings).log_level == "warning"
    (environment / ".env").write_text("ORDERHUB_SHOP_LOG_LEVEL=debug\n")
    assert settings.load(Settings).log_level == "debug"


def test_a_common_variable_wins_over_the_file(monkeypatch, environment):
    (environment / "orderhub.yaml").write_text("log_level: error\nshop:\n  log_level: debug\n")
    assert settings.load(Settings).log_level == "debug"
    monkeypatch.setenv("ORDERHUB_LOG_LEVEL", "warning")
    assert settings.load(Settings).log_level == "warning"


def test_the_file_has_a_section_for_each_service(environment):
    (environment / "orderhub.yaml").write_text(
        "call_timeout: 2\ngrpc_host: 0.0.0.0\nshop:\n  call_timeout: PT9S\n  opening: 60\nother:\n  grpc_host: 10.0.0.1\n"
    )
    loaded = settings.load(Settings)
    assert loaded.call_timeout == timedelta(seconds=9)
    assert loaded.opening == timedelta(minutes=1)
    assert loaded.grpc_host == "0.0.0.0"


def test_what_is_given_is_known_by_its_variable_wherever_it_stands(monkeypatch, environment):
    (environment / "orderhub.yaml").write_text("grpc_port: 1\nbus: a\nshop:\n  till_key: t\n  grpc_port: 2\n")
    (environment / ".env").write_text(
        "ORDERHUB_BUS=b\nORDERHUB_ORDERS_PLACE_BATCH=3\nHOME=elsewhere\nORDERHUB_EMPTY\n"
    )
    monkeypatch.setenv("ORDERHUB_BUS", "c")
    for name in set(REQUIRED) - {"ORDERHUB_BUS"}:
        monkeypatch.delenv(name)
    given = {name: value for name, value in settings.given().items() if "TEST" not in name}
    assert given == {
        "ORDERHUB_GRPC_PORT": "1", "ORDERHUB_SHOP_GRPC_PORT": "2", "ORDERHUB_SHOP_TILL_KEY": "t", "ORDERHUB_BUS": "c",
        "ORDERHUB_ORDERS_PLACE_BATCH": "3",
    }  # fmt: skip


def test_the_file_may_be_elsewhere(monkeypatch, environment):
    (environment / "there.yaml").write_text("grpc_port: 4\n")
    monkeypatch.setenv("ORDERHUB_CONFIG", str(environment / "there.yaml"))
    assert settings.load(Settings).grpc_port == 4


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read"),
        ("a: [", "cannot be read"),
        ("- 1\n- 2", "is not a table"),
        ("shop: 3", "is not a table"),
    ],
)
def test_a_file_that_is_named_and_no_good_is_one_line(monkeypatch, environment, content, complaint):
    path = environment / "config.yaml"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("ORDERHUB_CONFIG", str(path))
    with pytest.raises(SettingsError, match=complaint) as refused:
        settings.load(Settings)
    assert str(refused.value).startswith("ORDERHUB_CONFIG: ")
    assert "\n" not in str(refused.value)


def test_every_mistake_is_named_by_its_variable_in_one_line(monkeypatch):
    monkeypatch.delenv("ORDERHUB_SHOP_DATABASE_URL")
    monkeypatch.setenv("ORDERHUB_SHOP_GRPC_PORT", "many")
    monkeypatch.setenv("ORDERHUB_SHOP_TILL_KEY", "geheim")
    monkeypatch.setenv("ORDERHUB_BUS", "kafka://broker:9092")
    with pytest.raises(SettingsError) as refused:
        settings.load(Settings)
    text = str(refused.value)
    assert "ORDERHUB_SHOP_DATABASE_URL: is required" in text
    assert "ORDERHUB_SHOP_GRPC_PORT: Input should be a valid integer" in text
    assert "ORDERHUB_SHOP_TILL_KEY: " in text
    assert "ORDERHUB_SHOP_BUS: " in text
    assert "must begin with postgresql://" in text
    assert "\n" not in text
    assert "geheim" not in text


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ORDERHUB_SHOP_GRPC_PORT", "65536"),
        ("ORDERHUB_SHOP_DATABASE_POOL_SIZE", "0"),
        ("ORDERHUB_SHOP_LOG_LEVEL", "loud"),
        ("ORDERHUB_SHOP_CALL_TIMEOUT", "soon"),
        ("ORDERHUB_SHOP_CURSOR_KEY", "short"),
    ],
)
def test_a_value_out_of_bounds_stops_the_start(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable):
        settings.load(Settings)


def test_no_secret_has_a_default_and_none_is_ever_shown(monkeypatch):
    loaded = settings.load(Settings)
    shown = settings.masked(loaded)
    assert shown["ORDERHUB_SHOP_TILL_KEY"] == shown["ORDERHUB_SHOP_DATABASE_URL"] == "********"
    assert shown["ORDERHUB_SHOP_OPENING"] == "1:30:00"
    for text in (str(shown), repr(loaded), str(loaded)):
        assert not [value for value in REQUIRED.values() if value in text]
    secrets = [name for name, _, field in settings.variables(Settings) if field.annotation is SecretStr]
    assert {"database_url", "redis_url", "bus", "internal_key", "cursor_key", "till_key"} == set(secrets)
    assert all(Settings.model_fields[name].is_required() for name in secrets)


def test_settings_do_not_change_after_the_start():
    with pytest.raises(ValueError, match="frozen"):
        settings.load(Settings).grpc_port = 1


def test_every_setting_says_what_it_is_for():
    assert [name for name, _, field in settings.variables(Settings) if not field.description] == []
    named = {name: variable for name, variable, _ in settings.variables(Settings)}
    assert (named["till_key"], named["grpc_port"]) == ("ORDERHUB_SHOP_TILL_KEY", "ORDERHUB_SHOP_GRPC_PORT")


def test_a_service_with_bad_settings_says_one_line_and_exits_with_2(tmp_path):
    script = (
        "from orderhub_chassis import main\n"
        "from orderhub_chassis.settings import ServiceSettings\n"
        "main.run_service(ServiceSettings, None)\n"
    )
    environment = {"PATH": os.environ["PATH"], "ORDERHUB_GRPC_PORT": "x"}
    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "ORDERHUB_DATABASE_URL: is required; " in line
    assert "ORDERHUB_GRPC_PORT: " in line
