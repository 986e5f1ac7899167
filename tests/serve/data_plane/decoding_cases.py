"""TensorProtos whose decoding is compared with TensorFlow's own: a table for every dtype, and random ones."""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from tensor_protos import KINDS, NAMES, Kind, tensor

RANDOM_CASES = 600


@dataclass(frozen=True)
class Case:
    """One TensorProto of a dtype that all DataTypes' tests go through."""

    name: str
    dtype: int
    proto: Any


def values(kind: Kind, count: int) -> Any:
    """Return `count` elements as the typed field holds them, all different and none of them zero."""
    if kind.numpy is object:
        return [b"a", b"\xff\x00", "ä".encode(), b"d" * 300, b""][:count]
    if kind.field == "float8_val":
        return bytes(range(1, count + 1))
    if kind.field in ("scomplex_val", "dcomplex_val"):
        return [0.5 + index for index in range(2 * count)]
    if kind.field == "half_val":
        return [0x3C00 + index for index in range(count)]
    if kind.field == "bool_val":
        return [True, False, True, True, False][:count]
    # 1 fits in every integer, and a two-bit one has not much more.
    return [1, 0, 1, 1, 0][:count]


def content(kind: Kind, count: int) -> bytes:
    """Return `count` elements as `tensor_content`."""
    if kind.numpy is object:
        strings = values(kind, count)
        lengths = b"".join(bytes([len(string)]) if len(string) < 128 else b"\xac\x02" for string in strings)
        return lengths + b"".join(strings)
    return np.array([1] * count, kind.numpy).tobytes()


def _field(kind: Kind, count: int) -> dict[str, Any]:
    return {kind.field: values(kind, count)}


def _table(number: int) -> dict[str, Any]:
    kind = KINDS[number]
    wrong = {"float_val": [1.0, 2.0]} if kind.field != "float_val" else {"int_val": [1, 2]}
    cases = {
        "every value": tensor(number, [2, 2], **_field(kind, 4)),
        "fewer values": tensor(number, [5], **_field(kind, 2)),
        "one value for all": tensor(number, [2, 3], **_field(kind, 1)),
        "no values": tensor(number, [3]),
        "surplus": tensor(number, [2], **_field(kind, 4)),
        "wrong field": tensor(number, [2], **wrong),
        "content": tensor(number, [2], tensor_content=content(kind, 2)),
        "content wins": tensor(number, [2], tensor_content=content(kind, 2), **_field(kind, 1)),
        "content too short": tensor(number, [3], tensor_content=content(kind, 2)),
        "content too long": tensor(number, [2], tensor_content=content(kind, 2) + b"\1"),
        "scalar": tensor(number, [], **_field(kind, 1)),
        "scalar content": tensor(number, [], tensor_content=content(kind, 1)),
        "no shape": tensor(number, **_field(kind, 3)),
        "no shape and no value": tensor(number),
        "negative dimension": tensor(number, [-1], **_field(kind, 1)),
        "another negative dimension": tensor(number, [2, -2], **_field(kind, 1)),
        "too many elements": tensor(number, [1 << 40, 1 << 40], **_field(kind, 1)),
        "empty": tensor(number, [0]),
        "empty inside": tensor(number, [2, 0, 3], **_field(kind, 2)),
        "empty with content": tensor(number, [0], tensor_content=content(kind, 1)),
        "rank 254": tensor(number, [1] * 254, **_field(kind, 1)),
        "rank 255": tensor(number, [1] * 255, **_field(kind, 1)),
    }
    for case, shape in (("unknown rank", []), ("unknown rank and a shape", [3])):
        cases[case] = tensor(number, shape, **_field(kind, 2))
        cases[case].tensor_shape.unknown_rank = True
    return cases


def _narrow() -> list[Case]:
    """Integers and half floats beyond their width; complex numbers with an odd half."""
    cut = [300, -1, 2**31 - 1, -(2**31), 128, 65536]
    names = [name for number, name in NAMES.items() if KINDS[number].field == "int_val"]
    cases = [Case(f"{name} cut", 0, tensor(name, [6], int_val=cut)) for name in names]
    cases += [
        Case(f"{name} cut", 0, tensor(name, [3], half_val=[70000, -1, 0x3C00])) for name in ("DT_HALF", "DT_BFLOAT16")
    ]
    cases += [
        Case("DT_COMPLEX64 odd", 0, tensor("DT_COMPLEX64", [2], scomplex_val=[1, 2, 3])),
        Case("DT_COMPLEX128 odd", 0, tensor("DT_COMPLEX128", [3], dcomplex_val=[1, 2, 3, 4, 5])),
        Case("DT_COMPLEX64 half of one", 0, tensor("DT_COMPLEX64", [1], scomplex_val=[1])),
        Case("DT_UINT64 extremes", 0, tensor("DT_UINT64", [2], uint64_val=[2**64 - 1, 2**63])),
        Case("DT_INT64 extremes", 0, tensor("DT_INT64", [2], int64_val=[2**63 - 1, -(2**63)])),
    ]
    return [Case(case.name, case.proto.dtype, case.proto) for case in cases]


def _random(chooser: random.Random) -> Any:
    number = chooser.choice(list(NAMES))
    kind = KINDS[number]
    shape = [chooser.choice([0, 1, 1, 2, 3, 3]) for _ in range(chooser.choice([0, 1, 1, 2, 3]))]
    if chooser.random() < 0.04:
        shape.append(-1)
    proto = tensor(number, None if chooser.random() < 0.1 else shape)
    for field_kind in (kind, KINDS[chooser.choice(list(NAMES))]):
        if chooser.random() < 0.7:
            for name, value in _field(field_kind, chooser.randrange(6)).items():
                proto.MergeFrom(tensor(0, **{name: value}))
    if chooser.random() < 0.3:
        count = int(np.prod(shape, dtype=np.int64)) if chooser.random() < 0.8 else chooser.randrange(4)
        proto.tensor_content = content(kind, min(max(count, 0), 5))
    if chooser.random() < 0.05:
        proto.tensor_shape.unknown_rank = True
    proto.dtype = number
    return proto


def _random_cases() -> list[Case]:
    chooser = random.Random(20)
    protos = [_random(chooser) for _ in range(RANDOM_CASES)]
    return [Case(f"random {index} {NAMES[proto.dtype]}", proto.dtype, proto) for index, proto in enumerate(protos)]


TABLE = [
    Case(f"{name} {case}", number, proto) for number, name in NAMES.items() for case, proto in _table(number).items()
]
NARROW = _narrow()
RANDOM = _random_cases()
CASES = [*TABLE, *NARROW, *RANDOM]
