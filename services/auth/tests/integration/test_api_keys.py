"""API keys of vendors, over gRPC on a real database: made and shown once, changed, revoked, looked at when presented."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog
from orderhub_auth.api_keys.uses import KEPT
from orderhub_auth.store import api_keys as store
from orderhub_chassis.calls import ANONYMOUS, Call, Caller, service_caller
from orderhub_chassis.clock import rfc3339
from orderhub_chassis.errors import Failure, Kind
from orderhub_contracts import api_keys as contract
from orderhub_contracts.auth.v1 import api_keys_pb2 as pb
from orderhub_contracts.auth.v1 import auth_pb2
from orderhub_contracts.auth.v1.api_keys_pb2_grpc import ApiKeyServiceStub
from orderhub_contracts.common.v1 import common_pb2

LAUNCHER = service_caller("launcher")
GATEWAY = service_caller("gateway")
REFUSED = pb.ResolvedApiKey()


class Shop:
    """A vendor's user and its keys."""

    def __init__(self, opened: Any, caller: Caller) -> None:
        self.opened = opened
        self.caller = caller
        self.stub = ApiKeyServiceStub(opened.peer.channel)

    async def call(self, method: str, request: Any, caller: Caller | None = None) -> Any:
        call = Call(caller=caller or self.caller)
        return await self.opened.peer.call(getattr(self.stub, method), request, call=call)

    async def create(self, **over: Any) -> pb.CreateApiKeyResponse:
        request = pb.CreateApiKeyRequest(**{"name": "ERP", "scopes": ["orders:read"], **over})
        return await self.call("CreateApiKey", request)

    async def resolve(self, *keys: str) -> list[pb.ResolvedApiKey]:
        presented = [contract.read(key) for key in keys]
        asked = [
            pb.PresentedApiKey(public_id=one.public_id, key_hash=one.key_hash) for one in presented if one
        ]
        answer = await self.call("ResolveApiKeys", pb.ResolveApiKeysRequest(keys=asked), GATEWAY)
        return list(answer.keys)

    async def change_user(self, **over: Any) -> None:
        request = auth_pb2.UpdateUserRequest(id=self.caller.user_id, **over)
        await self.opened.peer.call(self.opened.stub.UpdateUser, request, call=Call(caller=LAUNCHER))


async def a_shop(opened: Any, role: str = "vendor", vendor_id: str = "") -> Shop:
    vendor_id = (vendor_id or str(uuid4())) if role == "vendor" else ""
    request = auth_pb2.CreateUserRequest(
        email=f"{uuid4().hex}@example.org", password="a long password", roles=[role], vendor_id=vendor_id
    )
    user = await opened.peer.call(opened.stub.CreateUser, request, call=Call(caller=LAUNCHER))
    return Shop(opened, Caller(user.id, frozenset({role}), vendor_id))


@pytest.fixture
async def shop(opened: Any) -> Shop:
    return await a_shop(opened)


async def refusal(work: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        await work
    return caught.value


async def test_a_key_is_shown_once_and_only_its_hash_is_kept(shop: Shop) -> None:
    with structlog.testing.capture_logs() as logs:
        made = await shop.create()
        listed = await shop.call("ListApiKeys", pb.ListApiKeysRequest())
        one = await shop.call("GetApiKey", pb.GetApiKeyRequest(id=made.api_key.id))
        await shop.call("RevokeApiKey", pb.RevokeApiKeyRequest(id=made.api_key.id))
    assert contract.read(made.key)
    assert made.key.startswith(made.api_key.prefix)
    assert list(listed.items) == [made.api_key] == [one]
    secret = made.key[len(made.api_key.prefix) + 1 :]
    tables = await shop.opened.db.fetch("select tablename from pg_tables where schemaname = 'public'")
    kept = [str(await shop.opened.db.fetch(f'select * from "{row["tablename"]}"')) for row in tables]
    assert any(made.api_key.prefix.removeprefix(contract.PREFIX) in text for text in kept)
    assert not any(secret in text for text in [*kept, str(logs), str(listed), str(one)])
    assert {line["event"] for line in logs} >= {"api_key.created", "api_key.revoked"}


async def test_a_key_stands_for_its_vendor_and_its_scopes(shop: Shop) -> None:
    made = await shop.create(scopes=["stock:write", "orders:read"])
    [found] = await shop.resolve(made.key)
    assert (found.good, found.id, found.vendor_id) == (True, made.api_key.id, shop.caller.vendor_id)
    assert set(found.scopes) == {"stock:write", "orders:read"} == set(made.api_key.scopes)


async def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(shop: Shop) -> None:
    good, revoked = await shop.create(), await shop.create()
    soon = rfc3339(shop.opened.clock.now() + timedelta(hours=1))
    over = await shop.create(expires_at=soon)
    await shop.call("RevokeApiKey", pb.RevokeApiKeyRequest(id=revoked.api_key.id))
    shop.opened.clock.advance(timedelta(hours=1))
    public_id = good.api_key.prefix.removeprefix(contract.PREFIX)
    wrong = contract.assembled(public_id, "0" * contract.SECRET_LENGTH)
    unknown = contract.assembled("0" * contract.PUBLIC_LENGTH, "0" * contract.SECRET_LENGTH)
    answers = await shop.resolve(unknown, wrong, revoked.key, over.key, good.key)
    assert answers[:4] == [REFUSED] * 4
    assert answers[4].good


async def test_a_key_is_worth_what_its_maker_is_worth_now(opened: Any) -> None:
    shop = await a_shop(opened)
    made = await shop.create()
    await shop.change_user(disabled=True)
    assert await shop.resolve(made.key) == [REFUSED]
    assert (await refusal(shop.create())).code == "auth.user_disabled"
    await shop.change_user(disabled=False)
    assert (await shop.resolve(made.key))[0].good
    for standing in ({"roles": ["customer"]}, {"roles": ["vendor"], "vendor_id": str(uuid4())}):
        await shop.change_user(standing=auth_pb2.UpdateUserRequest.Standing(**standing))
        assert await shop.resolve(made.key) == [REFUSED]


async def test_a_vendor_has_nothing_to_do_with_anothers_keys(opened: Any, shop: Shop) -> None:
    stranger, made = await a_shop(opened), await shop.create()
    for request in (
        pb.GetApiKeyRequest(id=made.api_key.id),
        pb.UpdateApiKeyRequest(id=made.api_key.id, name="mine"),
        pb.RevokeApiKeyRequest(id=made.api_key.id),
    ):
        failure = await refusal(stranger.call(type(request).__name__.removesuffix("Request"), request))
        assert (failure.kind, failure.code) == (Kind.NOT_FOUND, "auth.api_key_not_found")
    for vendor_id in ("", shop.caller.vendor_id):
        listed = await stranger.call("ListApiKeys", pb.ListApiKeysRequest(vendor_id=vendor_id))
        assert list(listed.items) == []
    failure = await refusal(stranger.create(vendor_id=shop.caller.vendor_id))
    assert (failure.kind, failure.code) == (Kind.NOT_FOUND, "auth.vendor_not_found")
    assert (await shop.resolve(made.key))[0].good


async def test_an_operator_keeps_the_keys_of_all_vendors(opened: Any, shop: Shop) -> None:
    operator, made = await a_shop(opened, "operator"), await shop.create()
    for_shop = await operator.create(vendor_id=shop.caller.vendor_id)
    assert for_shop.api_key.created_by == operator.caller.user_id
    assert (await shop.resolve(for_shop.key))[0].vendor_id == shop.caller.vendor_id
    listed = await operator.call("ListApiKeys", pb.ListApiKeysRequest(vendor_id=shop.caller.vendor_id))
    assert [item.id for item in listed.items] == [for_shop.api_key.id, made.api_key.id]
    await operator.call("RevokeApiKey", pb.RevokeApiKeyRequest(id=made.api_key.id))
    assert await shop.resolve(made.key) == [REFUSED]
    assert (await refusal(operator.create())).errors[0].pointer == "/vendor_id"


async def test_only_vendors_and_operators_have_keys_and_only_services_ask_whose_they_are(opened: Any) -> None:
    for role in ("customer", "courier"):
        somebody = await a_shop(opened, role)
        assert (await refusal(somebody.create())).code == "auth.forbidden"
    nobody = Shop(opened, ANONYMOUS)
    assert (await refusal(nobody.create())).code == "auth.unauthenticated"
    asked = pb.ResolveApiKeysRequest(keys=[pb.PresentedApiKey(public_id="0" * 12, key_hash=bytes(32))])
    for caller in ((await a_shop(opened)).caller, (await a_shop(opened, "operator")).caller):
        assert (await refusal(nobody.call("ResolveApiKeys", asked, caller))).code == "auth.forbidden"


async def test_a_user_whom_auth_does_not_know_makes_no_key(opened: Any) -> None:
    """As one of another issuer: nobody would tell when it is disabled there. A key is no user either."""
    foreign = Shop(opened, Caller(str(uuid4()), frozenset({"vendor"}), str(uuid4())))
    assert (await refusal(foreign.create())).code == "auth.maker_unknown"


async def test_name_and_end_can_be_changed_and_nothing_of_a_revoked_key(shop: Shop) -> None:
    made = (await shop.create()).api_key
    end = rfc3339(shop.opened.clock.now() + timedelta(days=2))
    changed = await shop.call("UpdateApiKey", pb.UpdateApiKeyRequest(id=made.id, name="Till", expires_at=end))
    assert (changed.name, changed.expires_at, changed.scopes) == ("Till", end, made.scopes)
    kept = await shop.call("UpdateApiKey", pb.UpdateApiKeyRequest(id=made.id))
    assert kept == changed
    far = rfc3339(shop.opened.clock.now() + timedelta(days=366))
    wrong = pb.UpdateApiKeyRequest(id=made.id, expires_at=far)
    assert (await refusal(shop.call("UpdateApiKey", wrong))).errors[0].pointer == "/expires_at"
    for _ in range(2):
        await shop.call("RevokeApiKey", pb.RevokeApiKeyRequest(id=made.id))
    failure = await refusal(shop.call("UpdateApiKey", pb.UpdateApiKeyRequest(id=made.id, name="x")))
    assert failure.code == "auth.api_key_revoked"
    assert (await shop.call("GetApiKey", pb.GetApiKeyRequest(id=made.id))).revoked_at


@pytest.mark.parametrize(
    ("over", "pointer"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["orders:read", "users:write"]}, "/scopes/1"),
        ({"name": ""}, "/name"),
        ({"expires_at": "2025-01-01T00:00:00Z"}, "/expires_at"),
        ({"vendor_id": "x"}, "/vendor_id"),
    ],
    ids=["no scope", "unknown scope", "no name", "in the past", "no vendor"],
)
async def test_a_key_that_cannot_be_names_what_is_wrong(shop: Shop, over: Any, pointer: str) -> None:
    failure = await refusal(shop.create(**over))
    assert (failure.kind, failure.errors[0].pointer) == (Kind.INVALID, pointer)


async def test_a_vendor_has_so_many_live_keys_also_when_all_are_asked_for_at_once(
    opened: Any, settings: Any
) -> None:
    shop = await a_shop(opened)
    colleague = await a_shop(opened, vendor_id=shop.caller.vendor_id)
    most = settings.api_keys_per_vendor
    outcomes = await asyncio.gather(
        *((shop if n % 2 else colleague).create() for n in range(most + 5)), return_exceptions=True
    )
    made = [one for one in outcomes if isinstance(one, pb.CreateApiKeyResponse)]
    assert len(made) == most
    assert {one.code for one in outcomes if isinstance(one, Failure)} == {"auth.too_many_api_keys"}
    await shop.call("RevokeApiKey", pb.RevokeApiKeyRequest(id=made[0].api_key.id))
    assert (await shop.create()).key


async def test_keys_are_listed_page_by_page(shop: Shop) -> None:
    made = [(await shop.create(name=f"key {n}")).api_key.id for n in range(5)]
    seen, cursor = [], ""
    while True:
        request = pb.ListApiKeysRequest(page=common_pb2.PageRequest(limit=2, cursor=cursor))
        page = await shop.call("ListApiKeys", request)
        seen += [item.id for item in page.items]
        if not (cursor := page.next_cursor):
            break
    assert seen == made[::-1]


async def test_when_a_key_was_used_is_written_beside_the_call_and_once_a_minute(
    shop: Shop, eventually: Any
) -> None:
    made, clock, db = await shop.create(), shop.opened.clock, shop.opened.db
    writes = "select xmin::text || last_used_at::text from api_keys where last_used_at is not null"
    first = clock.now()
    for _ in range(3):
        await shop.resolve(made.key)
    written = await eventually(lambda: db.fetchval(writes), within=15)
    found = await shop.call("GetApiKey", pb.GetApiKeyRequest(id=made.api_key.id))
    assert found.last_used_at == rfc3339(first)
    clock.advance(timedelta(seconds=59))
    await shop.resolve(made.key)
    assert await db.fetchval(writes) == written
    clock.advance(timedelta(seconds=1))
    await shop.resolve(made.key)

    async def again() -> bool:
        return await db.fetchval(writes) != written

    await eventually(again, within=15)
    found = await shop.call("GetApiKey", pb.GetApiKeyRequest(id=made.api_key.id))
    assert found.last_used_at == rfc3339(first + timedelta(seconds=60))


async def test_keys_that_have_been_over_for_long_are_deleted(shop: Shop) -> None:
    revoked, live, db = await shop.create(), await shop.create(), shop.opened.db
    await shop.call("RevokeApiKey", pb.RevokeApiKeyRequest(id=revoked.api_key.id))
    for days, left in ((89, 2), (2, 1)):
        shop.opened.clock.advance(timedelta(days=days))
        before = shop.opened.clock.now() - KEPT
        await db.run(lambda tx, before=before: store.prune_api_keys(tx, before=before))
        assert await db.fetchval("select count(*) from api_keys") == left
    assert await db.fetchval("select id from api_keys") == UUID(live.api_key.id)
