"""REST predict: what JSON becomes which tensor, and how tensors are written, in both formats."""

from typing import Any

import numpy as np
import pytest
from clients import Client
from tensor_protos import NUMBERS


def echo(client: Client, dtype: str, value: str) -> str:
    """Return the text of the tensor that comes back for the JSON text `value`, sent as a whole tensor."""
    sent = f'{{"signature_name": "echo_{NUMBERS[dtype]}", "inputs": {value}}}'
    response = client.post(sent.encode())
    assert response.status_code == 200, response.text
    text = "".join(response.text.split())
    assert text.startswith('{"outputs":')
    return text[len('{"outputs":') : -1]


def echo_row(client: Client, dtype: str, value: str) -> str:
    """Return the text of the only row that comes back for the JSON text `value`, sent as the only row."""
    sent = f'{{"signature_name": "echo_{NUMBERS[dtype]}", "instances": [{value}]}}'
    response = client.post(sent.encode())
    assert response.status_code == 200, response.text
    text = "".join(response.text.split())
    assert text.startswith('{"predictions":[')
    return text[len('{"predictions":[') : -2]


# dtype, JSON sent, JSON received
ACCEPTED = [
    ("DT_FLOAT", "1", "1.0"),
    ("DT_FLOAT", "-0.0", "-0.0"),
    ("DT_FLOAT", "0.1", "0.1"),
    ("DT_FLOAT", "9000000", "9e+06"),
    ("DT_FLOAT", "3e-5", "3e-05"),
    ("DT_FLOAT", "0.333333333333", "0.333333343"),
    ("DT_FLOAT", "16777217", "16777216.0"),
    ("DT_FLOAT", "1e39", "Infinity"),
    ("DT_FLOAT", "-1e39", "-Infinity"),
    ("DT_FLOAT", "1e-60", "0.0"),
    ("DT_FLOAT", "-1e-60", "-0.0"),
    ("DT_FLOAT", "1e-45", "1.4013e-45"),
    ("DT_FLOAT", "18446744073709551616", "1.84467441e+19"),
    ("DT_FLOAT", "NaN", "NaN"),
    ("DT_FLOAT", "Inf", "Infinity"),
    ("DT_FLOAT", "-Inf", "-Infinity"),
    ("DT_FLOAT", "Infinity", "Infinity"),
    ("DT_FLOAT", "-Infinity", "-Infinity"),
    ("DT_DOUBLE", "1", "1.0"),
    ("DT_DOUBLE", "0.1", "0.1"),
    ("DT_DOUBLE", "0.333333333333333333", "0.33333333333333331"),
    ("DT_DOUBLE", "1e308", "1e+308"),
    ("DT_DOUBLE", "1e-400", "0.0"),
    ("DT_DOUBLE", "5e-324", "4.94066e-324"),
    ("DT_DOUBLE", "12345678", "12345678.0"),
    ("DT_DOUBLE", "NaN", "NaN"),
    ("DT_DOUBLE", "-Inf", "-Infinity"),
    ("DT_INT32", "2147483647", "2147483647"),
    ("DT_INT32", "-2147483648", "-2147483648"),
    ("DT_INT32", "-0", "0"),
    ("DT_INT16", "32768", "-32768"),
    ("DT_INT8", "300", "44"),
    ("DT_INT8", "-129", "127"),
    ("DT_UINT8", "256", "0"),
    ("DT_UINT8", "-1", "255"),
    ("DT_INT64", "9007199254740993", "9007199254740993"),
    ("DT_INT64", "9223372036854775807", "9223372036854775807"),
    ("DT_INT64", "-9223372036854775808", "-9223372036854775808"),
    ("DT_UINT32", "4294967295", "4294967295"),
    ("DT_UINT64", "18446744073709551615", "18446744073709551615"),
    ("DT_BOOL", "true", "true"),
    ("DT_BOOL", "false", "false"),
    ("DT_STRING", '""', '""'),
    ("DT_STRING", '"a\\u0000b"', '"a\\u0000b"'),
    ("DT_STRING", '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\"\\\\/\\b\\f\\n\\r\\t"'),
    ("DT_STRING", '"\\u00e4\\ud83d\\ude00"', '"ä😀"'),
    ("DT_STRING", '"ä€"', '"ä€"'),
    ("DT_STRING", '{"b64": "YQBi"}', '"a\\u0000b"'),
    ("DT_STRING", '{"b64": "YWI="}', '"ab"'),
    ("DT_STRING", '{"b64": "YWI"}', '"ab"'),
    ("DT_STRING", '{"b64": ""}', '""'),
]


@pytest.mark.parametrize(("dtype", "sent", "received"), ACCEPTED, ids=lambda value: str(value)[:40])
def test_a_value_is_accepted(client: Client, dtype: str, sent: str, received: str) -> None:
    assert echo(client, dtype, sent) == received
    assert echo_row(client, dtype, sent) == received
    assert echo(client, dtype, f"[[{sent}, {sent}]]") == f"[[{received},{received}]]"
    assert echo_row(client, dtype, f'{{"x": [{sent}]}}') == f"[{received}]"


NAMES = {"DT_FLOAT": "float", "DT_DOUBLE": "double"}
NUMBER_REFUSALS = [
    ('"1"', "String"),
    ("true", "True"),
    ("false", "False"),
    ("null", "Null"),
    ('{"b64": "AA=="}', "Object"),
]
REFUSED = [
    *[(dtype, value, kind) for dtype in ("DT_FLOAT", "DT_DOUBLE") for value, kind in NUMBER_REFUSALS],
    *[
        (dtype, value, kind)
        for dtype in ("DT_INT8", "DT_UINT8", "DT_INT16", "DT_INT32", "DT_INT64", "DT_UINT32", "DT_UINT64")
        for value, kind in [*NUMBER_REFUSALS, ("1.0", "Number"), ("1e2", "Number"), ("NaN", "Number")]
    ],
    *[(dtype, "2147483648", "Number") for dtype in ("DT_INT8", "DT_UINT8", "DT_INT16", "DT_INT32")],
    *[(dtype, "-2147483649", "Number") for dtype in ("DT_INT8", "DT_UINT8", "DT_INT16", "DT_INT32")],
    ("DT_INT64", "9223372036854775808", "Number"),
    ("DT_INT64", "-9223372036854775809", "Number"),
    ("DT_UINT32", "4294967296", "Number"),
    ("DT_UINT32", "-1", "Number"),
    ("DT_UINT64", "18446744073709551616", "Number"),
    ("DT_UINT64", "-1", "Number"),
    *[
        ("DT_BOOL", value, kind)
        for value, kind in (("0", "Number"), ("1", "Number"), ('"true"', "String"), ("null", "Null"))
    ],
    *[("DT_STRING", value, kind) for value, kind in (("1", "Number"), ("true", "True"), ("null", "Null"))],
]


@pytest.mark.parametrize(("dtype", "sent", "kind"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_value_is_refused(client: Client, dtype: str, sent: str, kind: str) -> None:
    name = NAMES.get(dtype, dtype[3:].lower())
    message = f"JSON Value: {sent} Type: {kind} is not of expected type: {name}"
    signature = f'"signature_name": "echo_{NUMBERS[dtype]}"'
    columnar = client.post(f'{{{signature}, "inputs": [{sent}]}}'.encode())
    assert (columnar.status_code, columnar.json()["error"]) == (400, message)
    row = client.post(f'{{{signature}, "instances": [{sent}]}}'.encode())
    wrapped = f"Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: {message}"
    assert (row.status_code, row.json()["error"]) == (400, wrapped)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"b64": "not base64!"}, "Unable to base64 decode"),
        ({"b64": "a-_a"}, "Unable to base64 decode"),
        ({"b64": 5}, 'JSON Value: {"b64": 5} not formatted correctly for base64 data'),
        ({"b64": "YQ==", "more": 1}, 'JSON Value: {"b64": "YQ==", "more": 1} not formatted correctly for base64 data'),
        ({}, "JSON Value: {} not formatted correctly for base64 data"),
        ({"c64": "YQ=="}, 'JSON Value: {"c64": "YQ=="} not formatted correctly for base64 data'),
    ],
    ids=str,
)
def test_broken_base64_is_refused(client: Client, value: Any, message: str) -> None:
    response = client.post({"signature_name": "echo_7", "inputs": {"x": [value]}})
    assert (response.status_code, response.json()["error"]) == (400, message)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("DT_HALF", "half"),
        ("DT_BFLOAT16", "bfloat16"),
        ("DT_UINT16", "uint16"),
        ("DT_COMPLEX64", "complex64"),
        ("DT_COMPLEX128", "complex128"),
        ("DT_QINT8", "qint8"),
    ],
)
def test_dtypes_that_json_has_no_conversion_for(client: Client, dtype: str, name: str) -> None:
    message = f"Conversion of JSON Value: 1 to type: {name}"
    columnar = client.post({"signature_name": f"echo_{NUMBERS[dtype]}", "inputs": [1]})
    assert (columnar.status_code, columnar.json()["error"]) == (501, message)
    row = client.post({"signature_name": f"echo_{NUMBERS[dtype]}", "instances": [1]})
    wrapped = f"Failed to process element: 0 of 'instances' list. Error: UNIMPLEMENTED: {message}"
    assert (row.status_code, row.json()["error"]) == (400, wrapped)


@pytest.mark.parametrize(
    ("signature", "name"),
    [("to_float16", "half"), ("to_bfloat16", "bfloat16"), ("to_uint16", "uint16"), ("to_complex64", "complex64")],
)
def test_dtypes_that_cannot_be_written(client: Client, signature: str, name: str) -> None:
    for form in ("inputs", "instances"):
        response = client.post({"signature_name": signature, form: [1.0]})
        message = f"Failed to write JSON value for tensor type: {name}"
        assert (response.status_code, response.json()["error"]) == (400, message)


@pytest.mark.parametrize("sent", ["[]", "[[]]", "[[], []]", "[[[]]]"])
def test_empty_lists_are_dimensions_of_zero(client: Client, sent: str) -> None:
    assert echo(client, "DT_FLOAT", sent) == sent.replace(" ", "")
    assert echo_row(client, "DT_STRING", sent) == sent.replace(" ", "")


@pytest.mark.parametrize("form", ["inputs", "instances"])
@pytest.mark.parametrize("depth", [253, 254, 255, 256, 100_000])
def test_deep_tensors_are_answered_or_refused(client: Client, form: str, depth: int) -> None:
    value = b"[" * depth + b"1" + b"]" * depth
    response = client.post(b'{"signature_name": "echo_1", "' + form.encode() + b'": ' + value + b"}")
    rank = depth
    assert response.status_code == (200 if rank <= 254 else 400), response.text[:300]


def test_floats_are_written_with_six_digits_if_these_are_enough(client: Client) -> None:
    generator = np.random.default_rng(3)
    anything = generator.integers(0, 2**32, 3000, np.uint32).view(np.float32)
    short = (generator.integers(-(10**6), 10**6, 2000) * 10.0 ** generator.integers(-40, 33, 2000)).astype(np.float32)
    subnormal = generator.integers(0, 2**23, 500, np.uint32).view(np.float32)
    for dtype, digits, values in (
        ("DT_FLOAT", 9, np.concatenate([anything, short, subnormal])),
        ("DT_DOUBLE", 17, generator.integers(0, 2**64, 3000, np.uint64).view(np.float64)),
        ("DT_DOUBLE", 17, np.round(generator.uniform(-1e4, 1e4, 2000), 2)),
        ("DT_DOUBLE", 17, generator.integers(0, 2**52, 500, np.uint64).view(np.float64)),
    ):
        finite = values[np.isfinite(values)]
        sent = "[" + ",".join(repr(float(value)) for value in finite) + "]"
        received = echo(client, dtype, sent)[1:-1].split(",")
        assert received == [written(value, digits) for value in finite]


def written(value: Any, digits: int) -> str:
    """Return the text of the specification, by C's own `%g`."""
    text = f"{float(value):.6g}"
    with np.errstate(over="ignore"):
        if type(value)(float(text)) != value:
            text = f"{float(value):.{digits}g}"
    return text if "." in text or "e" in text else text + ".0"
