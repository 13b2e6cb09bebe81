"""Settings: where a value comes from, what a mistake says, and that no secret is shown."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, ClassVar

import pytest
from orderhub_chassis import settings, urls
from orderhub_chassis.settings import (
    PREFIX,
    Addresses,
    CommonSettings,
    HttpUrl,
    ServiceSettings,
    SettingsError,
)
from pydantic import DirectoryPath, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

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
    festive: bool = Field(False, description="Whether there are lights.")
    discount: float = Field(0.1, gt=0, lt=1, description="What regulars get.")
    pause: timedelta = Field(
        timedelta(seconds=30), gt=timedelta(0), description="How long it is closed at noon."
    )
    site: HttpUrl = Field("http://shop.example", description="Where the shop is shown.")
    cellar: DirectoryPath | None = Field(None, description="Where the old papers are.")
    neighbours: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (), description="Who is near."
    )

    @field_validator("neighbours", mode="before")
    @classmethod
    def _split(cls, value):
        return value.split(",") if isinstance(value, str) else value

    @model_validator(mode="after")
    def _pause_is_shorter(self):
        if self.pause > self.opening:
            raise ValueError("ORDERHUB_SHOP_PAUSE: must be below ORDERHUB_SHOP_OPENING")
        return self


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
    assert {name: (found.value, found.origin) for name, found in given.items()} == {
        "ORDERHUB_GRPC_PORT": ("1", "orderhub.yaml"),
        "ORDERHUB_SHOP_GRPC_PORT": ("2", "orderhub.yaml"),
        "ORDERHUB_SHOP_TILL_KEY": ("t", "orderhub.yaml"),
        "ORDERHUB_BUS": ("c", "environment"),
        "ORDERHUB_ORDERS_PLACE_BATCH": ("3", ".env"),
    }


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
        ("shop: 3", r"shop\b.* is not a table"),
        ("shop:\n- 3", r"shop\b.* is not a table"),
        ("1: 2", "1 is no name of a setting"),
        ("shop:\n  true: 2", "shop: True is no name of a setting"),
        ("shop:\n  site: {a: b}", "shop: site: must be one value, or a list of them"),
        ("grpc_port: [[1]]", "grpc_port: must be one value, or a list of them"),
        ("a: \0", "cannot be read"),
        ("a: &a [*a]", "must be one value"),
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


def test_a_value_of_the_file_counts_as_its_text_would_in_the_environment(monkeypatch, environment):
    (environment / "orderhub.yaml").write_text(
        "log_level:\nshop:\n  festive: true\n  pause: 0.5\n  neighbours: [10.0.0.0/8, 192.168.0.0/16]\n"
        f"  till_key: {'1' * 12}\n"
    )
    monkeypatch.delenv("ORDERHUB_SHOP_TILL_KEY")
    loaded = settings.load(Settings)
    assert (loaded.log_level, loaded.festive, loaded.pause) == ("info", True, timedelta(seconds=0.5))
    assert [str(network) for network in loaded.neighbours] == ["10.0.0.0/8", "192.168.0.0/16"]
    assert loaded.till_key.get_secret_value() == "1" * 12


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"ORDERHUB_BUS=\xff", ".env cannot be read: 'utf-8' codec can't decode byte 0xff"),
        (b"# fine\n\nA=1\nORDERHUB_LOG_LEVEL info", ".env: line 4 is no NAME=value"),
        (b"ORDERHUB_LOG_LEVEL: info", ".env: line 1 is no NAME=value"),
        (b'A=1\nORDERHUB_SHOP_TILL_KEY="geheim\nB=2\n', ".env: line 2 is no NAME=value"),
    ],
)
def test_a_dotenv_that_is_no_good_is_one_line_that_shows_no_value(environment, content, complaint):
    (environment / ".env").write_bytes(content)
    for read in (lambda: settings.load(Settings), lambda: settings.load(CommonSettings), settings.given):
        with pytest.raises(SettingsError) as refused:
            read()
        assert str(refused.value).startswith(complaint)
        assert "\n" not in str(refused.value)
        assert "geheim" not in str(refused.value)


def test_a_folder_in_the_place_of_a_dotenv_is_one_line(environment):
    (environment / ".env").mkdir()
    with pytest.raises(SettingsError, match=r"^\.env cannot be read: Is a directory$"):
        settings.load(Settings)


def test_every_mistake_is_named_by_its_variable_in_one_line(monkeypatch):
    monkeypatch.delenv("ORDERHUB_SHOP_DATABASE_URL")
    monkeypatch.setenv("ORDERHUB_SHOP_GRPC_PORT", "many")
    monkeypatch.setenv("ORDERHUB_SHOP_TILL_KEY", "geheim")
    monkeypatch.setenv("ORDERHUB_BUS", "amqp://broker:5672")
    with pytest.raises(SettingsError) as refused:
        settings.load(Settings)
    text = str(refused.value)
    assert "ORDERHUB_SHOP_DATABASE_URL: is required" in text
    assert "ORDERHUB_SHOP_GRPC_PORT: must be a whole number" in text
    assert "ORDERHUB_SHOP_TILL_KEY: must have at least 10 characters" in text
    assert "ORDERHUB_BUS: must be a URL that starts with postgresql://" in text
    assert text.count("; ") == 3
    assert "\n" not in text
    assert "geheim" not in text


TIME = "must be a time: seconds such as 1.5, or ISO 8601 such as PT5M"
POSTGRES = "must be a URL that starts with postgresql:// or postgres://"
HTTP = "must be a URL that starts with http:// or https://"
REDIS = "must be a URL that starts with redis://, rediss:// or unix://"
WRONG = [
    ("GRPC_PORT", "many", "must be a whole number, not 'many'"),
    ("GRPC_PORT", "80.5", "must be a whole number, not '80.5'"),
    ("GRPC_PORT", "", "must be a whole number, not ''"),
    ("GRPC_PORT", "9" * 5000, f"must be a whole number, not '{'9' * 40}'…"),
    ("GRPC_PORT", "65536", "must be at most 65535, not '65536'"),
    ("GRPC_PORT", "-1", "must be at least 0, not '-1'"),
    ("DISCOUNT", "half", "must be a number, not 'half'"),
    ("DISCOUNT", "0", "must be above 0, not '0'"),
    ("DISCOUNT", "1", "must be below 1, not '1'"),
    ("DISCOUNT", "nan", "must be a number, not 'nan'"),
    ("FESTIVE", "perhaps", "must be true or false, not 'perhaps'"),
    ("LOG_LEVEL", "loud\nand clear", "must be debug, info, warning or error, not 'loud\\nand clear'"),
    ("CALL_TIMEOUT", "soon", f"{TIME}, not 'soon'"),
    ("CALL_TIMEOUT", "5 minutes", f"{TIME}, not '5 minutes'"),
    ("CALL_TIMEOUT", "1e3", f"{TIME}, not '1e3'"),
    ("CALL_TIMEOUT", "", f"{TIME}, not ''"),
    ("CALL_TIMEOUT", "9" * 30, TIME),
    ("CALL_TIMEOUT", "-5", "must not be negative"),
    ("CALL_TIMEOUT", "-PT5M", "must not be negative"),
    ("PAUSE", "0", "must be above 0 seconds"),
    ("PAUSE", "100000", "must be below ORDERHUB_SHOP_OPENING"),
    ("DATABASE_URL", "mysql://me:geheim@there/shop", POSTGRES),
    ("DATABASE_URL", "geheim", POSTGRES),
    ("DATABASE_URL", "", POSTGRES),
    ("DATABASE_URL", "postgresql://me:ge#heim@there/shop", urls.NO_PARTS),
    ("DATABASE_URL", "postgresql://me:geheim@[::1/shop", urls.NO_PARTS),
    ("REDIS_URL", "redis://me:geheim@there:many", urls.NO_PARTS),
    ("REDIS_URL", "http://me:geheim@there", REDIS),
    ("SITE", "shop.example", HTTP),
    ("SITE", "http://", HTTP),
    ("SITE", "http://shop.example:port/", HTTP),
    ("PUBLIC_URL", "//shop.example", HTTP),
    ("CURSOR_KEY", "geheim", "must have at least 32 characters"),
    ("CURSOR_KEY", "", "must have at least 32 characters"),
    ("CELLAR", "/nowhere/at/all", "must be a folder that is there, not '/nowhere/at/all'"),
    ("NEIGHBOURS", "10.0.0.0/8,next door", "must be networks such as 10.0.0.0/8, separated by commas, not 'next door'"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "words"), WRONG)
def test_a_wrong_value_is_told_in_words_for_people(monkeypatch, name, value, words):
    monkeypatch.setenv(f"ORDERHUB_SHOP_{name}", value)
    with pytest.raises(SettingsError) as refused:
        settings.load(Settings)
    assert str(refused.value) == f"ORDERHUB_SHOP_{name}: {words}"


@pytest.mark.parametrize("url", ["postgresql://a:1,b:2/shop", "postgresql:///shop?host=/run", "postgres://a"])
def test_every_form_of_a_postgres_url_is_taken(monkeypatch, url):
    monkeypatch.setenv("ORDERHUB_SHOP_DATABASE_URL", url)
    assert settings.load(Settings).database_url.get_secret_value() == url


def test_the_variable_that_was_set_is_the_one_that_is_named(monkeypatch, environment):
    monkeypatch.setenv("ORDERHUB_CURSOR_KEY", "short")
    (environment / ".env").write_text("ORDERHUB_GRPC_PORT=x\n")
    with pytest.raises(SettingsError) as refused:
        settings.load(Settings)
    assert [part.partition(": ")[0] for part in str(refused.value).split("; ")] == [
        "ORDERHUB_CURSOR_KEY",
        "ORDERHUB_GRPC_PORT",
    ]


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


class Peers(CommonSettings):
    peer: Addresses


@pytest.mark.parametrize(
    "value", ["orders:50051", "[::1]:1", "127.0.0.1:1,127.0.0.1:2", "[::1]:1, [::2]:1", "a-b.c_d.internal:9"]
)
def test_a_peer_has_one_address_or_several_of_one_kind(value):
    assert Peers(peer=value).peer == value


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("orders", "must be host:port"),
        ("http://orders:1", "must be host:port"),
        ("10.0.0.1:1,", "must be host:port"),
        ("10.0.0.1:1;10.0.0.2:1", "must be host:port"),
        ("one:1,two:1", "several must be IP addresses of one kind"),
        ("10.0.0.1:1,[::1]:1", "several must be IP addresses of one kind"),
    ],
)
def test_addresses_that_grpc_would_not_find_are_refused(monkeypatch, value, reason):
    monkeypatch.setenv("ORDERHUB_PEER", value)
    with pytest.raises(SettingsError, match=f"^ORDERHUB_PEER: {reason}"):
        settings.load(Peers)
