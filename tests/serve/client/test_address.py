import pytest

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.serve.client.address import TlsFiles, parse_address


@pytest.mark.parametrize(
    ("url", "target", "rest", "secure"),
    [
        ("http://h:8501", "http://h:8501", True, False),
        ("http://h:8501/", "http://h:8501", True, False),
        ("https://h/proxy", "https://h/proxy", True, True),
        ("grpc://h:1", "h:1", False, False),
        ("grpc://h", "h:8500", False, False),
        ("grpcs://h:1", "h:1", False, True),
        ("unix:/run/tfs.sock", "unix:/run/tfs.sock", False, False),
        ("unix:///run/tfs.sock", "unix:/run/tfs.sock", False, False),
        ("unix:tfs.sock", "unix:tfs.sock", False, False),
    ],
)
def test_forms_of_addresses(url, target, rest, secure):
    address = parse_address(url)
    assert (address.url, address.target, address.rest, address.secure) == (url, target, rest, secure)


@pytest.mark.parametrize("url", ["h:8500", "ftp://h", "grpc://", "http://", "unix:", "unix:///", "grpc://h/m"])
def test_other_forms_are_refused(url):
    with pytest.raises(UsageError, match="is no address of a server"):
        parse_address(url)


def test_files_for_tls_need_tls(tmp_path):
    with pytest.raises(UsageError, match="speaks no TLS"):
        parse_address("grpc://h", TlsFiles(ca=tmp_path / "ca.pem"))
    with pytest.raises(UsageError, match="go together"):
        parse_address("grpcs://h", TlsFiles(key=tmp_path / "key.pem"))


def test_files_for_tls_that_cannot_be_used_are_named(tmp_path):
    missing = parse_address("https://h", TlsFiles(ca=tmp_path / "ca.pem"))
    with pytest.raises(TfsError, match=r"ca\.pem` cannot be read: No such file"):
        missing.http_arguments()
    (tmp_path / "ca.pem").write_text("no PEM")
    with pytest.raises(TfsError, match=r"ca\.pem` cannot be used for TLS"):
        missing.http_arguments()
