"""What only operators do: compare money with the provider, change the signing keys, make the first operator of an installation."""

from __future__ import annotations

import asyncio
import os
import secrets
from typing import Any

from orderhub_auth import bootstrap, cleanup
from orderhub_auth.settings import Settings
from orderhub_chassis.errors import Failure
from orderhub_contracts.auth.v1 import keys_pb2, keys_pb2_grpc
from orderhub_contracts.payments.v1 import payments_pb2, payments_pb2_grpc
from pydantic import SecretStr

from orderhub import control, databases, environment, home, inside, settings
from orderhub.exits import Exit, Refused
from orderhub.gateway import PASSWORD
from orderhub.output import Output

RECONCILE_SECONDS = 300.0
KEYS = ("internal_key", "cursor_key", "key_encryption_key")


def reconcile(place: home.Home, out: Output) -> Exit:
    """Orders, ledger and the provider's own answer; every difference is a row."""
    found = asyncio.run(_reconcile(place))
    rows = [(d.code, d.order_id, d.payment_id, d.detail) for d in found.differences]
    columns = ("difference", "order", "payment", "detail")
    data = {
        "payments_checked": found.payments_checked,
        "differences": [dict(zip(columns, row, strict=True)) for row in rows],
    }
    out.result(data, out.table("", columns, rows) if rows else None)
    if not out.as_json:
        out.say(f"{found.payments_checked} payments compared with the provider, {len(rows)} differences.")
    return Exit.FOUND if rows else Exit.DONE


async def _reconcile(place: home.Home) -> payments_pb2.ReconcileResponse:
    runtime = control.required(place)
    async with inside.connected(place, runtime.addresses) as doors:
        stub = payments_pb2_grpc.PaymentsServiceStub(doors.peer("payments").channel)
        return await doors.call(
            "payments", stub.Reconcile, payments_pb2.ReconcileRequest(), timeout=RECONCILE_SECONDS
        )


def signing_keys(place: home.Home, out: Output) -> Exit:
    """Those of the published set."""
    return _show_keys(out, asyncio.run(_of_keys(place, "ListSigningKeys", keys_pb2.ListSigningKeysRequest())))


def rotate_keys(place: home.Home, out: Output, algorithm: str, *, now: bool) -> Exit:
    """The next keys; `now` takes the others back."""
    request = keys_pb2.RotateSigningKeysRequest(algorithm=algorithm, now=now)
    return _show_keys(out, asyncio.run(_of_keys(place, "RotateSigningKeys", request)))


async def _of_keys(place: home.Home, method: str, request: Any) -> Any:
    runtime = control.required(place)
    async with inside.connected(place, runtime.addresses) as doors:
        stub = keys_pb2_grpc.KeyServiceStub(doors.peer("auth").channel)
        return await doors.call("auth", getattr(stub, method), request)


def _show_keys(out: Output, answer: Any) -> Exit:
    columns = ("kid", "algorithm", "state", "signs_from", "signs_until", "published_until")
    rows = [[getattr(key, name) for name in columns] for key in answer.items]
    out.result([dict(zip(columns, row, strict=True)) for row in rows], out.table("", columns, rows))
    return Exit.DONE


def create_operator(place: home.Home, out: Output, email: str) -> Exit:
    """On the database itself, so that it works before anybody may ask auth."""
    given = os.environ.get(PASSWORD, "")
    password = given or secrets.token_urlsafe(15)
    with databases.reachable(place) as reach:
        try:
            user = asyncio.run(
                bootstrap.create_operator(_settings(place, reach.dsn("orderhub_auth")), email, password)
            )
        except Failure as failure:
            raise Refused(failure.detail) from failure
    shown = {"id": str(user.id), "email": user.email, **({} if given else {"password": password})}
    out.result(
        shown,
        out.table(
            "", ("id", "e-mail", "password"), [(user.id, user.email, shown.get("password", "as given"))]
        ),
    )
    return Exit.DONE


def clean_up(place: home.Home, out: Output, what: str) -> Exit:
    """The scheduled job of auth once, on the database itself; works running or stopped."""
    kinds = tuple(cleanup.Kind) if what == "all" else (cleanup.Kind(what),)
    with databases.reachable(place) as reach:
        deleted = asyncio.run(cleanup.run_once(_settings(place, reach.dsn("orderhub_auth")), kinds))
    out.result(deleted, out.table("", ("what", "deleted"), list(deleted.items())))
    return Exit.DONE


def _settings(place: home.Home, dsn: str) -> Settings:
    """Auth's settings for a job on its database alone; what it does not touch is named as such.

    The keys are the folder's, or the environment's where there is no folder: in a container.
    """
    known = environment.secrets_wanted(settings.given(), place.secrets())
    names = {name: variable for variable, name in environment.SECRETS.items()}
    if missing := [names[name] for name in KEYS if name not in known]:
        raise Refused(f"{', '.join(missing)}: is required", Exit.USAGE)
    keys = {name: SecretStr(known[name]) for name in KEYS}
    bus, redis = SecretStr("postgresql://unused"), SecretStr("redis://unused")
    return Settings(database_url=SecretStr(dsn), redis_url=redis, bus=bus, **keys)  # type: ignore[arg-type]
