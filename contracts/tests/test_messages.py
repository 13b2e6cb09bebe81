"""What was written once can be read for ever: golden bytes of every message that is kept or travels.

`golden.json` holds, for each message type, bytes as they were written when the type was new, and what they said.
Run this file as a script to add the types that are missing; what is there is never written again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from orderhub_contracts import topics
from orderhub_contracts.events.v1 import records_pb2

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).with_name("golden.json")
CARRIERS = (records_pb2.Record, records_pb2.RecordBatch, records_pb2.PartitionedBatch)
TYPES: dict[str, type[Message]] = {
    **{carrier.DESCRIPTOR.full_name: carrier for carrier in CARRIERS},
    **topics.MESSAGE_OF,
}
TEXT = "ünï"
NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: -7, FieldDescriptor.CPPTYPE_UINT32: 7,
    FieldDescriptor.CPPTYPE_INT64: 2**53 + 1, FieldDescriptor.CPPTYPE_UINT64: 2**53 + 1,
    FieldDescriptor.CPPTYPE_DOUBLE: 0.1, FieldDescriptor.CPPTYPE_BOOL: True,
}  # fmt: skip


def filled(message: type[Message], variant: int = 0) -> Message:
    """Every field set, of a oneof the one that `variant` names: the same for the same type at any time."""
    made = message()
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof is None or _chosen(field, variant):
            _fill(made, field, variant)
    return made


def _chosen(field: FieldDescriptor, variant: int) -> bool:
    members = field.containing_oneof.fields
    return field is members[variant % len(members)]


def _fill(made: Message, field: FieldDescriptor, variant: int) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        getattr(made, field.name)["k"] = TEXT
    elif field.is_repeated:
        getattr(made, field.name).extend(_value(made, field, variant) for _ in range(2))
    elif field.message_type is not None:
        getattr(made, field.name).CopyFrom(_value(made, field, variant))
    else:
        setattr(made, field.name, _value(made, field, variant))


def _value(made: Message, field: FieldDescriptor, variant: int) -> Any:
    if field.message_type is not None:
        return filled(field.message_type._concrete_class, variant)
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return b"\x00\xff" if field.type == FieldDescriptor.TYPE_BYTES else f"{field.name} {TEXT}"
    return NUMBERS[field.cpp_type]


def variants(descriptor: Descriptor) -> int:
    """As many as the largest oneof has members, so that each of them is seen."""
    return max((len(oneof.fields) for oneof in descriptor.oneofs), default=1)


def told(message: Message) -> Any:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def golden() -> dict[str, list[dict[str, Any]]]:
    return json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}


def samples(name: str) -> list[dict[str, Any]]:
    messages = [filled(TYPES[name], variant) for variant in range(variants(TYPES[name].DESCRIPTOR))]
    return [{"bytes": m.SerializeToString(deterministic=True).hex(), "says": told(m)} for m in messages]


@pytest.mark.parametrize("name", sorted(TYPES))
def test_bytes_of_old_still_say_the_same(name):
    kept = golden()
    assert name in kept, f"new type: run `python {Path(__file__).relative_to(ROOT)}` and commit golden.json"
    for sample in kept[name]:
        message = TYPES[name].FromString(bytes.fromhex(sample["bytes"]))
        assert lacks(told(message), sample["says"]) == []


def lacks(found: Any, wanted: Any, path: str = "") -> list[str]:
    """What was said and is not said any more; that more is said now is no harm."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [line for key in wanted for line in lacks(found.get(key), wanted[key], f"{path}/{key}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [line for n, item in enumerate(wanted) for line in lacks(found[n], item, f"{path}/{n}")]
    return [] if found == wanted else [f"{path}: {wanted!r} became {found!r}"]


def test_no_type_that_was_kept_is_gone():
    assert sorted(golden().keys() - TYPES.keys()) == []


@pytest.mark.parametrize("name", sorted(TYPES))
def test_bytes_of_today_can_be_read_by_those_who_know_less(name):
    """An older reader keeps what it does not know, and passes it on."""
    for variant in range(variants(TYPES[name].DESCRIPTOR)):
        message = filled(TYPES[name], variant)
        data = message.SerializeToString(deterministic=True)
        assert TYPES[name].FromString(data) == message


def test_the_generated_code_is_that_of_the_protos():
    checked = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "gen_proto.py"), "--check"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def write_missing() -> list[str]:
    kept = golden()
    missing = sorted(TYPES.keys() - kept.keys())
    kept.update({name: samples(name) for name in missing})
    GOLDEN.write_text(json.dumps(dict(sorted(kept.items())), indent=1, ensure_ascii=False) + "\n")
    return missing


if __name__ == "__main__":
    print("\n".join(write_missing()))
