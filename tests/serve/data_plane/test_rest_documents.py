"""REST: whole requests and whole replies: keys, formats, encodings, status and metadata."""

import base64
import gzip
import json

from clients import Client, spec
from google.protobuf import json_format

from tfs.savedmodel.protos import load


def test_several_inputs_and_outputs(client: Client) -> None:
    rows = [{"a": 1.5, "b": 2}, {"b": -1, "a": 2}]
    answer = client.answer({"signature_name": "pair", "instances": rows})
    assert answer == {"predictions": [{"total": 3.5, "scaled": 3.0, "b": 2}, {"total": 1.0, "scaled": 4.0, "b": -1}]}
    columns = {"a": [1.5, 2], "b": 2, "beyond": "ignored"}
    answer = client.answer({"inputs": columns, "signature_name": "pair"})
    assert answer == {"outputs": {"total": [3.5, 4.0], "scaled": [3.0, 4.0], "b": 2}}


def test_outputs_whose_name_ends_in_bytes_are_base64(client: Client) -> None:
    for data in (b"", b"a", b"\0\xff\xfe", bytes(range(256))):
        encoded = {"b64": base64.b64encode(data).decode()}
        assert client.answer({"signature_name": "one_bytes", "inputs": encoded}) == {"outputs": encoded}
        assert client.answer({"signature_name": "one_bytes", "instances": [encoded]}) == {"predictions": [encoded]}
        row = {"s_bytes": encoded, "length": len(data)}
        assert client.answer({"signature_name": "texts", "instances": [{"s": encoded}]}) == {"predictions": [row]}
        assert client.answer({"signature_name": "texts", "inputs": {"s": encoded}}) == {"outputs": row}


def test_bytes_pass_unchecked_into_an_output_of_text(client: Client) -> None:
    response = client.post({"signature_name": "echo_7", "inputs": {"b64": "+/+/"}})
    assert b'"\xfb\xff\xbf"' in response.content


def test_scalars_and_empty_batches(client: Client) -> None:
    assert client.answer({"signature_name": "total", "inputs": [1, 2, 3]}) == {"outputs": 6.0}
    assert client.answer({"signature_name": "total", "inputs": 4}) == {"outputs": 4.0}
    assert client.answer({"signature_name": "no_rows", "instances": [1, 2]}) == {"predictions": []}
    assert client.answer({"signature_name": "uneven", "inputs": [1, 2]}) == {
        "outputs": {"first": [1.0], "whole": [1.0, 2.0]}
    }


def test_the_first_of_equal_keys_counts(client: Client) -> None:
    assert client.answer(b'{"inputs": 2, "inputs": 4}') == {"outputs": 3.0}
    assert client.answer(b'{"inputs": {"x": 2, "x": 4}}') == {"outputs": 3.0}
    assert client.answer(b'{"signature_name": "total", "signature_name": "pair", "inputs": 2}') == {"outputs": 2.0}


def test_what_follows_the_document_is_ignored(client: Client) -> None:
    assert client.answer(b'{"inputs": 2} ] nonsense \xff') == {"outputs": 3.0}


def test_ignored_keys_may_be_nested_to_any_depth(client: Client) -> None:
    depth = 500_000
    deep = b'{"ignored": ' + b"[" * depth + b"]" * depth + b', "inputs": 2}'
    assert client.answer(deep) == {"outputs": 3.0}
    objects = b'{"ignored": ' + b'{"a":' * depth + b"1" + b"}" * depth + b', "inputs": 2}'
    assert client.answer(objects) == {"outputs": 3.0}


def test_the_content_type_is_not_looked_at(client: Client) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "nonsense"):
        headers = {"Content-Type": content_type}
        response = client.http.post("/v1/models/kinds:predict", content=b'{"inputs": 2}', headers=headers)
        assert response.json() == {"outputs": 3.0}


def test_replies_are_indented_json(client: Client) -> None:
    response = client.post({"instances": [2.0, 4.0]})
    assert response.headers["Content-Type"] == "application/json"
    assert response.text == '{\n    "predictions": [3.0, 4.0]\n}'


def test_status_as_json(client: Client) -> None:
    answer = {
        "model_version_status": [
            {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }
    for path in ("/v1/models/kinds", "/v1/models/kinds/versions/7", "/v1/models/kinds/labels/ignored"):
        assert client.http.get(path).json() == answer


def test_metadata_as_json(client: Client) -> None:
    for path in ("/v1/models/kinds/metadata", "/v1/models/kinds/versions/007/metadata", "/v1/models/k%69nds/METADATA"):
        answer = client.http.get(path).json()
        assert answer["model_spec"] == {"name": "kinds", "signature_name": "", "version": "7"}
        signatures = answer["metadata"]["signature_def"]["signature_def"]
        default = signatures["serving_default"]
        assert default["inputs"] == {
            "x": {
                "dtype": "DT_FLOAT",
                "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
                "name": "serving_default_x:0",
            }
        }
        assert list(default) == ["inputs", "outputs", "method_name", "defaults"]
        assert (default["method_name"], default["defaults"]) == ("tensorflow/serving/predict", {})
        assert signatures["echo_7"]["inputs"]["x"]["tensor_shape"] == {"dim": [], "unknown_rank": True}
        assert signatures["__saved_model_init_op"]["method_name"] == ""


def test_metadata_prints_the_defaults_of_a_signature_as_proto_json_does(client: Client) -> None:
    request = load("get_model_metadata_pb2").GetModelMetadataRequest(
        model_spec=spec(), metadata_field=["signature_def"]
    )
    signature_map = load("get_model_metadata_pb2").SignatureDefMap()
    assert client.prediction.GetModelMetadata(request).metadata["signature_def"].Unpack(signature_map)
    signatures = client.http.get("/v1/models/kinds/metadata").json()["metadata"]["signature_def"]["signature_def"]
    assert signatures.keys() == signature_map.signature_def.keys()
    printed = 0
    for name, definition in signature_map.signature_def.items():
        # Which fields every message prints is protobuf's own affair.
        defaults = {
            alias: json_format.MessageToDict(
                tensor, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
            for alias, tensor in definition.defaults.items()
        }
        assert signatures[name]["defaults"] == defaults, name
        printed += len(defaults)
    assert printed == 13


def test_gzip_requests_are_unpacked(client: Client) -> None:
    headers = {"Content-Encoding": "gzip"}
    path = "/v1/models/kinds:predict"
    packed = gzip.compress(json.dumps({"inputs": [2.0] * 1000}).encode())
    assert client.http.post(path, content=packed, headers=headers).json() == {"outputs": [3.0] * 1000}
    broken = client.http.post(path, content=b"nonsense", headers=headers)
    assert (broken.status_code, broken.json()["error"]) == (400, "JSON Parse error: The document is empty")
    too_much = gzip.compress(b'{"inputs": 2' + b" " * (100 << 20) + b"}", compresslevel=1)
    refused = client.http.post(path, content=too_much, headers=headers)
    assert (refused.status_code, refused.json()["error"]) == (400, "JSON Parse error: The document is empty")
