"""REST: which requests are refused, with which status and message."""

import json
from typing import Any

import httpx
import pytest
from clients import Client

PATH = "/v1/models/kinds"


def wrapped(message: str, key: str = "", element: int = 0, code: str = "INVALID_ARGUMENT") -> str:
    named = f" key: {key}" if key else ""
    return f"Failed to process element: {element}{named} of 'instances' list. Error: {code}: {message}"


def body(**keys: Any) -> bytes:
    return json.dumps(keys).encode()


def named(signature: str, **keys: Any) -> bytes:
    return body(signature_name=signature, **keys)


# body -> message, which is that of the reply or begins it. All are 400.
JSON = {
    b"": "JSON Parse error: The document is empty",
    b" \n\t": "JSON Parse error: The document is empty",
    b"nonsense": "JSON Parse error: Invalid value. at offset: ",
    b"\xff\xfe": "JSON Parse error: Invalid value. at offset: ",
    b'{"instances": [1.0': "JSON Parse error: ",
    b'{"instances": [1.0,]}': "JSON Parse error: Invalid value. at offset: ",
    b'{"instances": [01]}': "JSON Parse error: ",
    b'{"instances": [1.]}': "JSON Parse error: ",
    b'{"instances": [+1]}': "JSON Parse error: Invalid value. at offset: ",
    b'{"instances": [1e400]}': "JSON Parse error: Number too big to be stored in double. at offset: ",
    b'{"ignored": -1e999, "instances": [1]}': "JSON Parse error: Number too big to be stored in double. at offset: ",
    b'{"instances": ["\\x"]}': "JSON Parse error: ",
    b'{"instances": ["\\u12g4"]}': "JSON Parse error: ",
    b'{"instances": ["\n"]}': "JSON Parse error: ",
    b"{instances: [1]}": "JSON Parse error: Missing a name for object member. at offset: ",
    b'{"instances" [1]}': "JSON Parse error: Missing a colon after a name of object member. at offset: ",
    b'{"instances": [1] "a": 1}': "JSON Parse error: Missing a comma or } after an object member. at offset: ",
    b'{"instances": [1 2]}': "JSON Parse error: Missing a comma or ] after an array element. at offset: ",
    b"[1.0, 2.0]": "JSON Value: [1.0, 2.0] Is not object",
    b'"text"': 'JSON Value: "text" Is not object',
    b"null": "JSON Value: null Is not object",
    b'{"signature_name": 5, "instances": [1]}': "JSON Value: ",
    b'{"signature_name": null, "instances": [1]}': "JSON Value: ",
    b"{}": "Missing 'inputs' or 'instances' key",
    body(
        instances=[1], inputs=[1]
    ): "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist",
    named("other", instances=[1]): 'Serving signature name: "other" not found in signature def',
    named("no_inputs", instances=[1]): "Failed to get input map for signature: no_inputs",
    named("no_inputs", inputs={}): "Failed to get input map for signature: no_inputs",
}

ROWS = {
    body(instances=1): "Expecting 'instances' to be an list/array",
    body(instances={"x": 1}): "Expecting 'instances' to be an list/array",
    body(instances=None): "Expecting 'instances' to be an list/array",
    body(instances=[]): "No values in 'instances' array",
    named(
        "pair", instances=[1, 2]
    ): "instances is a plain list, but expecting list of objects as multiple input tensors "
    "required as per tensorinfo_map",
    body(instances=[{"x": 1}, 2]): "Expecting object but got list at item 1 of input list",
    body(instances=[1, {"x": 2}]): "Expecting value/list but got object at item 1 of input list",
    body(instances=[{"z": 1}]): wrapped("JSON object: does not have named input: z"),
    body(instances=[{"x": 1}, {"x": 1, "z": 1}]): wrapped("JSON object: does not have named input: z", element=1),
    named("pair", instances=[{"a": 1}]): "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: ",
    body(instances=[{}]): "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: ",
    body(instances=[[1, 2], [3]]): wrapped("Expecting tensor size: 2 but got: 1", element=1),
    body(instances=[[1, 2, 3, 4], [[1, 2], [3, 4]]]): wrapped("Expecting shape [4] but got: [2,2]", element=1),
    body(instances=[{"x": [1, 2]}, {"x": [3]}]): wrapped("Expecting tensor size: 2 but got: 1", "x", 1),
    body(instances=[[[1, 2], [3]]]): wrapped("Encountered list at unexpected size: 1 at level: 1 expected size: 2"),
    body(instances=[[1, [2]]]): "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
    "Encountered list at unexpected level: ",
    body(instances=[[[1], 2]]): wrapped(
        "JSON Value: 2 found at incorrect level: 1 in the JSON DOM. Expected at level: 2"
    ),
    body(instances=["1"]): wrapped('JSON Value: "1" Type: String is not of expected type: float'),
    body(instances=[True]): wrapped("JSON Value: true Type: True is not of expected type: float"),
    body(instances=[None]): wrapped("JSON Value: null Type: Null is not of expected type: float"),
    named("total", instances=[1, 2]): "Tensor name: y has no shape information ",
    named("uneven", instances=[1, 2]): "Tensor name: whole has inconsistent batch size: 2 expecting: 1",
}

COLUMNS = {
    named(
        "pair", inputs=1
    ): "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map",
    named("pair", inputs=[1, 2]): "inputs is a plain value/list, but expecting an object as multiple input tensors "
    "required as per tensorinfo_map",
    named("pair", inputs={"a": 1}): "Missing named input: b in 'inputs' object.",
    body(inputs={"z": [1]}): "Missing named input: x in 'inputs' object.",
    body(inputs={}): "Missing named input: x in 'inputs' object.",
    body(inputs=[[1, 2], [3]]): "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
    body(inputs=[[1, 2], [[3], [4]]]): "Encountered list at unexpected level: ",
    body(inputs=[[1], 2]): "JSON Value: 2 found at incorrect level: 1 in the JSON DOM. Expected at level: 2",
    body(inputs={"x": ["1"]}): 'JSON Value: "1" Type: String is not of expected type: float',
    body(inputs=[False]): "JSON Value: false Type: False is not of expected type: float",
    body(inputs={"x": {"b64": "AA=="}}): 'JSON Value: {"b64": "AA=="} Type: Object is not of expected type: float',
    named("product", inputs=[1, 2]): "",
}


def check(response: httpx.Response, status: int, message: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    assert list(response.json()) == ["error"]
    assert response.text.startswith('{ "error": "')
    assert response.json()["error"][: len(message)] == message
    assert response.json()["error"]


@pytest.mark.parametrize("sent", [*JSON, *ROWS, *COLUMNS], ids=lambda sent: repr(sent)[2:60])
def test_a_body_is_refused(client: Client, sent: bytes) -> None:
    message = {**JSON, **ROWS, **COLUMNS}[sent]
    check(client.post(sent), 400, message)


def test_quoted_values_are_cut_at_256_bytes(client: Client) -> None:
    response = client.post(b'["' + b"a" * 5000 + b'"]')
    check(response, 400, 'JSON Value: ["' + "a" * 254 + " Is not object")
    response = client.post(body(instances=["b" * 5000]))
    check(response, 400, wrapped('JSON Value: "' + "b" * 255 + " Type: String is not of expected type: float"))


def test_messages_are_not_cut(client: Client) -> None:
    check(client.post(named("n" * 3000, inputs=1)), 400, f'Serving signature name: "{"n" * 3000}" not found')


def test_malformed_json_comes_before_the_model(client: Client) -> None:
    check(client.post(b"{", "/v1/models/nobody:predict"), 400, "JSON Parse error: ")
    check(client.post(b'{"signature_name": 1}', "/v1/models/nobody:predict"), 400, "JSON Value: ")
    found = "Servable not found for request: Latest(nobody)"
    check(client.post(body(instances="x"), "/v1/models/nobody:predict"), 404, found)


PATHS = [
    ("POST", "/v1/models/kinds/versions/8:predict", 404, "Servable not found for request: Specific(kinds, 8)"),
    ("POST", "/v1/models/nobody/versions/1:predict", 404, "Servable not found for request: Specific(nobody, 1)"),
    ("POST", "/v1/models/kinds/labels/l:predict", 400, "Unrecognized servable version label: l"),
    ("POST", "/v1/models/nobody/labels/l:predict", 400, "Unrecognized servable version label: l"),
    ("POST", "/v1/models/kinds/versions/99999999999999999999:predict", 400, "Failed to convert version: "),
    ("GET", "/v1/models/kinds/versions/99999999999999999999", 400, "Failed to convert version: "),
    ("POST", "/v1/models/kinds:guess", 400, "Malformed request: POST /v1/models/kinds:guess"),
    ("POST", "/v1/models/kinds:PREDICT", 400, "Malformed request: POST /v1/models/kinds:PREDICT"),
    ("POST", "/v1/models/kinds", 400, "Malformed request: POST /v1/models/kinds"),
    ("POST", "/v1/models/kinds:predict?x=1", 400, "Malformed request: POST /v1/models/kinds:predict?x=1"),
    ("POST", "/v1/models/kinds/versions/x:predict", 400, "Malformed request: POST "),
    ("GET", "/v1/models/kinds:predict", 400, "Malformed request: GET /v1/models/kinds:predict"),
    ("GET", "/v1/models", 400, "Missing model name in request."),
    ("GET", "/v1/models/", 400, "Missing model name in request."),
    ("GET", "/v1/other", 400, "Malformed request: GET /v1/other"),
    ("GET", "/v1/models/kinds/metadata/more", 400, "Malformed request: GET "),
    ("GET", "/v1/models/nobody", 404, "Could not find any versions of model nobody"),
    ("GET", "/v1/models/kinds/versions/8", 404, "Could not find version 8 of model kinds"),
    ("GET", "/v1/models/nobody/metadata", 404, "Servable not found for request: Latest(nobody)"),
    ("GET", "/v1/models/kinds/versions/8/metadata", 404, "Servable not found for request: Specific(kinds, 8)"),
    ("GET", "/v1/models/kinds/labels/l/metadata", 400, "Unrecognized servable version label: l"),
    ("PUT", "/v1/models/kinds", 400, "Malformed request: PUT /v1/models/kinds"),
    ("DELETE", "/v1/models/kinds", 400, "Malformed request: DELETE /v1/models/kinds"),
    ("PATCH", "/v1/models/kinds:predict", 400, "Malformed request: PATCH /v1/models/kinds:predict"),
]


@pytest.mark.parametrize(("method", "path", "status", "message"), PATHS, ids=lambda value: str(value)[:50])
def test_a_path_is_refused(client: Client, method: str, path: str, status: int, message: str) -> None:
    content = body(instances=[1.0]) if method == "POST" else None
    check(client.http.request(method, path, content=content), status, message)


def test_paths_elsewhere_are_not_found(client: Client) -> None:
    for path in ("/", "/v2/models/kinds", "/v1", "/favicon.ico"):
        assert client.http.get(path).status_code == 404


def test_head_is_refused_without_a_body(client: Client) -> None:
    response = client.http.head("/v1/models/kinds")
    assert (response.status_code, response.content) == (400, b"")


def test_options_is_answered_to_browsers_only(client: Client) -> None:
    for origin in ("http://a.example", "https://a.example"):
        response = client.http.request("OPTIONS", "/v1/models/kinds:predict", headers={"Origin": origin})
        assert (response.status_code, response.content) == (200, b"")
    for headers in ({"Origin": "ftp://a.example"}, {}):
        response = client.http.request("OPTIONS", "/V1/models/kinds:predict", headers=headers)
        assert (response.status_code, response.content) == (400, b"")
    assert client.http.request("OPTIONS", "/elsewhere").status_code == 404
