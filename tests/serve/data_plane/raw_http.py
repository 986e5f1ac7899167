"""HTTP/1.1 requests by the thousand on one connection, without waiting for the replies in between."""

import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True)
class Reply:
    """Status and body of one reply."""

    status: int
    body: bytes


def predict_request(body: bytes, path: str = "/v1/models/kinds:predict") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def pipeline(address: str, requests: Sequence[bytes]) -> list[Reply]:
    """Send complete requests on one connection and return their replies, which come in the same order."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        sender = threading.Thread(target=lambda: connection.sendall(b"".join(requests)))
        sender.start()
        with connection.makefile("rb") as stream:
            replies = [_read_reply(stream) for _ in requests]
        sender.join()
    return replies


def _read_reply(stream: BinaryIO) -> Reply:
    status_line = stream.readline()
    assert status_line.startswith(b"HTTP/1.1 "), f"the connection was dropped: {status_line!r}"
    length = 0
    while (header := stream.readline()) != b"\r\n":
        name, value = header.split(b":", 1)
        if name.lower() == b"content-length":
            length = int(value)
    return Reply(int(status_line.split()[1]), stream.read(length))
