"""TensorProtos over gRPC: every dtype, decoded as TensorFlow itself decodes it."""

import grpc
import numpy as np
import pytest
from clients import Client, refusal, request
from decoding_cases import CASES, NARROW, RANDOM, TABLE, Case
from made_models import Made
from tensor_protos import COMMON, KINDS, NAMES, bits, elements, shape_of, tensor

from tfs.savedmodel import protos
from tfs.savedmodel.tensors import array_from_proto, proto_from_array


def difference(client: Client, made: Made, case: Case) -> str | None:
    """Return how the answer for a case differs from what TensorFlow makes of it."""
    wanted = made.decoded[case.name]
    try:
        answer = client.echo(case.proto)
    except grpc.RpcError as error:
        refused = (error.code().name, error.details()[:24]) == ("INVALID_ARGUMENT", "tensor parsing error: x ")
        return None if refused and wanted is None else f"{case.name}: {error.code().name} {error.details()}"
    if wanted is None:
        return f"{case.name}: not refused"
    expected = protos.load("tensor_pb2").TensorProto.FromString(wanted)
    got = (answer.dtype, shape_of(answer), elements(answer))
    return None if got == (expected.dtype, shape_of(expected), elements(expected)) else f"{case.name}: {got}"


def differences(client: Client, made: Made, cases: list[Case]) -> list[str]:
    return [text for case in cases if (text := difference(client, made, case))]


@pytest.fixture(scope="module")
def echoed(client: Client) -> set[int]:
    """The dtypes that the installed TensorFlow knows."""
    fields = protos.load("get_model_metadata_pb2")
    metadata = fields.GetModelMetadataRequest(metadata_field=["signature_def"])
    metadata.model_spec.name = "kinds"
    reply = client.prediction.GetModelMetadata(metadata).metadata["signature_def"]
    names = fields.SignatureDefMap.FromString(reply.value).signature_def
    return {int(name[len("echo_") :]) for name in names if name.startswith("echo_")}


@pytest.mark.parametrize("number", NAMES, ids=NAMES.get)
def test_a_dtype_is_decoded_as_tensorflow_decodes_it(client: Client, made: Made, echoed: set[int], number: int) -> None:
    if number not in echoed:
        pytest.skip(f"the installed TensorFlow has no {NAMES[number]}")
    cases = [case for case in TABLE if case.dtype == number]
    assert len(cases) > 20
    assert differences(client, made, cases) == []


def test_values_beyond_their_width_are_cut_as_tensorflow_cuts_them(
    client: Client, made: Made, echoed: set[int]
) -> None:
    assert differences(client, made, [case for case in NARROW if case.dtype in echoed]) == []


def test_random_tensors_are_decoded_as_tensorflow_decodes_them(client: Client, made: Made, echoed: set[int]) -> None:
    cases = [case for case in RANDOM if case.dtype in echoed]
    refused = sum(made.decoded[case.name] is None for case in cases)
    assert 0.02 < refused / len(cases) < 0.5, "the cases are neither all sound nor all broken"
    assert differences(client, made, cases) == []


def test_case_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


# The rows of the specification's table, computed by hand.
@pytest.mark.parametrize(
    ("sent", "shape", "values"),
    [
        (tensor("DT_FLOAT", [3], float_val=[2, 5]), [3], [2, 5, 5]),
        (tensor("DT_COMPLEX64", [2], scomplex_val=[1, 2]), [2], [1 + 2j, 1 + 2j]),
        (tensor("DT_FLOAT", [2]), [2], [0, 0]),
        (tensor("DT_BOOL", [2]), [2], [False, False]),
        (tensor("DT_STRING", [2]), [2], [b"", b""]),
        (tensor("DT_FLOAT", [1], float_val=[2, 5]), [1], [2]),
        (tensor("DT_FLOAT", [2], int_val=[1, 2]), [2], [0, 0]),
        (tensor("DT_FLOAT", [1], float_val=[5], tensor_content=b"\0\0\0\x40"), [1], [2]),
        (tensor("DT_STRING", [2], tensor_content=b"\1\2abc"), [2], [b"a", b"bc"]),
        (tensor("DT_FLOAT", None, float_val=[2, 5]), [], [2]),
        (tensor("DT_INT8", [2], int_val=[300, -129]), [2], [44, 127]),
        (tensor("DT_UINT16", [1], int_val=[65537]), [1], [1]),
        (tensor("DT_HALF", [2], half_val=[0x3C00, 0x10000 + 0x4000]), [2], [1, 2]),
        (tensor("DT_BFLOAT16", [1], half_val=[0x3F80]), [1], [1]),
        (tensor("DT_COMPLEX128", [1], dcomplex_val=[1, 2, 3]), [1], [1 + 2j]),
        (tensor("DT_BOOL", [2], tensor_content=b"\0\2"), [2], [False, True]),
        (tensor("DT_FLOAT", [0], float_val=[1]), [0], []),
    ],
    ids=lambda value: "" if isinstance(value, list) else "tensor",
)
def test_rows_of_the_decoding_table(client: Client, sent: object, shape: list[int], values: list[object]) -> None:
    array = array_from_proto(client.echo(sent))
    assert list(array.shape) == shape
    assert array.ravel().tolist() == values


@pytest.mark.parametrize(
    "sent",
    [
        tensor("DT_FLOAT", [-1], float_val=[1]),
        tensor("DT_FLOAT", [1 << 32, 1 << 32], float_val=[1]),
        tensor("DT_FLOAT", [1 << 62], float_val=[1]),
        tensor("DT_FLOAT", [2], tensor_content=b"\0" * 7),
        tensor("DT_FLOAT", [2], tensor_content=b"\0" * 12),
        tensor("DT_STRING", [2], tensor_content=b"\1\2ab"),
        tensor("DT_STRING", [2], tensor_content=b"\1\2abcd"),
        tensor("DT_STRING", [1], tensor_content=b"\xff" * 11),
        tensor(0, [1], float_val=[1]),
        tensor(99, [1], float_val=[1]),
        tensor("DT_FLOAT", [1] * 255, float_val=[1]),
    ],
    ids=str,
)
def test_what_cannot_be_decoded_is_named(client: Client, sent: object) -> None:
    code, message = refusal(client.predict, request("echo_7" if sent.dtype == 7 else "echo_1", x=sent))
    assert (code, message[:24]) == ("INVALID_ARGUMENT", "tensor parsing error: x ")


@pytest.mark.parametrize("name", COMMON)
def test_arrays_come_back_bit_by_bit(client: Client, name: str) -> None:
    if name == "DT_STRING":
        array = np.array([[b"", b"\0"], ["ä€😀".encode(), bytes(range(256)) * 9]], object)
    else:
        generator = np.random.default_rng(5)
        size = np.dtype(COMMON[name]).itemsize
        raw = generator.integers(0, 2 if name == "DT_BOOL" else 256, 24 * size, np.uint8)
        array = raw.view(COMMON[name]).reshape(2, 3, 4)
    answer = client.echo(proto_from_array(array))
    assert answer.tensor_content == b"", "replies use typed fields"
    assert NAMES[answer.dtype] == name
    if name in ("DT_FLOAT", "DT_COMPLEX64"):  # Python's own float_val goes through double, which marks NaNs as quiet
        np.testing.assert_array_equal(array_from_proto(answer), array)
    else:
        np.testing.assert_array_equal(bits(array_from_proto(answer)), bits(array))


def test_every_element_and_the_shape_are_written(client: Client) -> None:
    scalar = client.echo(tensor("DT_FLOAT", [], float_val=[0]))
    assert scalar.HasField("tensor_shape")
    assert list(scalar.float_val) == [0]
    zeros = client.echo(tensor("DT_INT64", [4], int64_val=[7]))
    assert list(zeros.int64_val) == [7] * 4


def test_every_dtype_has_a_kind() -> None:
    assert set(KINDS) == set(NAMES)
