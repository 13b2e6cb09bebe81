"""What users say of themselves, over gRPC."""

from __future__ import annotations

from typing import Any

from orderhub_chassis.db import Database
from orderhub_contracts.auth.v1 import auth_pb2 as pb
from orderhub_contracts.auth.v1 import profile_pb2, profile_pb2_grpc

from orderhub_auth import profiles
from orderhub_auth.api.accounts import encoded, own
from orderhub_auth.model import PostalAddress
from orderhub_auth.profiles import ProfileChange


class ProfileServicer(profile_pb2_grpc.ProfileServiceServicer):  # type: ignore[misc]
    def __init__(self, db: Database) -> None:
        self._db = db

    async def UpdateProfile(self, request: profile_pb2.UpdateProfileRequest, context: Any) -> pb.User:
        user_id, _ = own()
        return encoded(await profiles.change_profile(self._db, user_id, _change(request)))


def _change(request: profile_pb2.UpdateProfileRequest) -> ProfileChange:
    return ProfileChange(
        request.name if request.HasField("name") else None,
        request.phone if request.HasField("phone") else None,
        _address(request.address) if request.HasField("address") else None,
    )


def _address(given: pb.PostalAddress) -> PostalAddress:
    return PostalAddress(**{field.name: getattr(given, field.name) for field in given.DESCRIPTOR.fields})
