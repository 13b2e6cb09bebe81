"""What is wrong with a server's URL is said when the settings are read, by the parameter's name, without the password."""

from __future__ import annotations

import pytest
from orderhub_chassis import driver, settings, urls
from orderhub_chassis.settings import PREFIX, ClickHouseSettings, PostgresUrl, RedisUrl, SettingsError
from pydantic_settings import SettingsConfigDict

SERVER = "postgresql://me:geheim@there/shop"
REDIS = "redis://:geheim@there/0"


class Settings(ClickHouseSettings):
    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}SHOP_")
    database_url: PostgresUrl | None = None
    redis_url: RedisUrl | None = None


@pytest.fixture
def certificate(a_ca, monkeypatch):
    """The path of a CA's certificate; no home folder has another one."""
    monkeypatch.setenv("HOME", str(a_ca.parent))
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)
    a_ca.with_name("none.pem").write_text("nothing")
    return a_ca


def refused(monkeypatch, name, url):
    monkeypatch.setenv("ORDERHUB_SHOP_CLICKHOUSE_URL", "chdb:///data")
    monkeypatch.setenv(f"ORDERHUB_SHOP_{name}", url)
    with pytest.raises(SettingsError) as error:
        settings.load(Settings)
    said = str(error.value)
    assert said.startswith(f"ORDERHUB_SHOP_{name}: ")
    assert "geheim" not in said
    return said.partition(": ")[2]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("sslmode=allways", "sslmode must be disable, allow, prefer, require, verify-ca or verify-full, not 'allways'"),
        ("sslmode=", "sslmode has no value"),
        ("sslmod=require", "sslmod is no parameter of such a URL; it may have database, dbname,"),
        ("statement_timeout=1", "statement_timeout is no parameter"),
        ("sslmode", "must have name=value after the question mark, joined by &"),
        ("sslmode=verify-full", "sslmode=verify-full needs sslrootcert="),
        ("sslmode=verify-ca&sslrootcert={folder}/nowhere.pem", "sslrootcert: {folder}/nowhere.pem: No such file"),
        ("sslmode=require&sslrootcert={folder}/none.pem", "sslrootcert: {folder}/none.pem: is no certificate in PEM"),
        ("sslrootcert={folder}/ca.pem", "sslrootcert is not looked at with sslmode=prefer: say sslmode=verify-full"),
        ("sslmode=require&sslkey={folder}/key.pem", "sslkey needs sslcert"),
        ("sslmode=require&sslcert={folder}/ca.pem", "sslcert: {folder}/ca.pem: is no certificate in PEM"),
        ("pooler=session", "pooler must be none or transaction, not 'session'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_database_is_named(monkeypatch, certificate, query, reason):
    folder = certificate.parent
    said = refused(monkeypatch, "DATABASE_URL", f"{SERVER}?{query.format(folder=folder)}")
    assert said.startswith(reason.format(folder=folder)), said


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (REDIS + "?ssl_ca_certs={folder}/ca.pem", "ssl_ca_certs is for rediss:// alone"),
        (
            "rediss://:geheim@there/0?ssl_ca_certs={folder}/nowhere.pem",
            "ssl_ca_certs: {folder}/nowhere.pem: No such",
        ),
        ("rediss://:geheim@there/0?ssl_cert_reqs=never", "ssl_cert_reqs must be required, optional or none"),
        ("rediss://:geheim@there/0?ssl_ca=x", "ssl_ca is no parameter"),
        ("rediss://:geheim@there/0?ssl_keyfile={folder}/key.pem", "ssl_keyfile needs ssl_certfile"),
    ],
)
def test_what_is_wrong_with_redis_is_named(monkeypatch, certificate, url, reason):
    folder = certificate.parent
    said = refused(monkeypatch, "REDIS_URL", url.format(folder=folder))
    assert said.startswith(reason.format(folder=folder)), said


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://there/logs", "must be a URL that starts with chdb://, http:// or https://"),
        ("chdb://", "must have a whole path behind chdb://"),
        ("chdb://data/logs", "must have a whole path behind chdb://"),
        ("http://me:geheim@", urls.NO_PARTS),
        ("http://me:ge#heim@there/logs", urls.NO_PARTS),
        ("http://me:geheim@there/logs?sslrootcert=x", "sslrootcert is no parameter of such a URL"),
        ("https://me:geheim@there/logs?sslrootcert=/nowhere.pem", "sslrootcert: /nowhere.pem: No such file"),
    ],
)
def test_what_is_wrong_with_clickhouse_is_named(monkeypatch, url, reason):
    assert refused(monkeypatch, "CLICKHOUSE_URL", url).startswith(reason)


def test_one_variable_names_clickhouse_for_every_service_that_wants_it(monkeypatch):
    monkeypatch.setenv("ORDERHUB_CLICKHOUSE_URL", "chdb:///var/lib/orderhub/logs")
    assert settings.load(Settings).clickhouse_url.get_secret_value() == "chdb:///var/lib/orderhub/logs"


def test_a_home_that_cannot_be_looked_into_has_no_ca(monkeypatch):
    """As for a container's user with root's home; so long a name is refused for root, too."""
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)
    monkeypatch.setenv("HOME", "/" + "x" * 300)
    said = refused(monkeypatch, "DATABASE_URL", f"{SERVER}?sslmode=verify-full")
    assert said.startswith("sslmode=verify-full needs sslrootcert=")


MARKS = ["/", "?", "#", "1/2@x", "1?2", "1#2"]
"""What begins with a number looks like a port behind a host."""


@pytest.mark.parametrize("mark", ["@", *MARKS])
def test_a_password_with_special_characters_as_they_are_is_refused(monkeypatch, mark):
    said = refused(monkeypatch, "DATABASE_URL", f"postgresql://me:{mark}geheim@there/shop")
    assert said.startswith(urls.NO_PARTS)


@pytest.mark.parametrize("mark", MARKS)
def test_so_is_one_of_redis(monkeypatch, mark):
    assert refused(monkeypatch, "REDIS_URL", f"redis://me:{mark}geheim@there/0").startswith(urls.NO_PARTS)


@pytest.mark.parametrize(
    "query",
    [
        "", "?sslmode=disable", "?sslmode=prefer", "?sslmode=require", "?sslmode=require&sslrootcert={ca}",
        "?sslmode=verify-ca&sslrootcert={ca}", "?sslmode=verify-full&sslrootcert={ca}&pooler=transaction",
        "?sslmode=require&sslcert={ca}&sslkey={key}", "?target_session_attrs=read-write&pooler=none",
    ],
)  # fmt: skip
def test_what_is_right_is_taken_as_it_is(monkeypatch, certificate, query):
    url = SERVER + query.format(ca=certificate, key=certificate.with_name("key.pem"))
    monkeypatch.setenv("ORDERHUB_SHOP_CLICKHOUSE_URL", "chdb:///data")
    monkeypatch.setenv("ORDERHUB_SHOP_DATABASE_URL", url)
    found = settings.load(Settings).database_url
    assert found is not None
    assert found.get_secret_value() == url


@pytest.mark.parametrize(
    ("url", "bare", "pooled"),
    [
        (SERVER, SERVER, False),
        (f"{SERVER}?pooler=transaction", SERVER, True),
        (f"{SERVER}?pooler=none", SERVER, False),
        (f"{SERVER}?a=1&pooler=transaction&b=%2F", f"{SERVER}?a=1&b=%2F", True),
        ("postgresql:///shop?host=/run", "postgresql:///shop?host=/run", False),
    ],
)
def test_the_driver_never_sees_our_own_parameter(url, bare, pooled):
    assert driver.address(url) == driver.Address(bare, pooled)


def test_only_behind_a_pooler_does_a_transaction_begin_with_the_settings():
    told = {"jit": "off", "lock_timeout": "10", "application_name": "orderhub-shop"}
    assert driver.begin(SERVER, told) == "begin"
    pooled = driver.begin(f"{SERVER}?pooler=transaction", told)
    assert pooled == "begin; set local jit = 'off'; set local lock_timeout = '10'"
