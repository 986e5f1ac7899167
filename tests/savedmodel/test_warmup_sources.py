import numpy as np
import pytest

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.reading import read_signatures
from tfs.savedmodel.warmup import log_of_record, write_records
from tfs.savedmodel.warmup_sources import records_from_file, synthetic_records


@pytest.fixture(scope="module")
def version(plain_model):
    return plain_model / "3"


def _records(version, file, signature_name="serving_default", records=None):
    return records_from_file(file, read_signatures(version), version, signature_name=signature_name, records=records)


def test_each_line_is_a_record(version, tmp_path):
    file = tmp_path / "r.jsonl"
    named = '{"signature_name": "look_up", "inputs": {"words": [["the", "a"]], "counts": [[1, 2, 3]], "negate": true}}'
    file.write_text('{"instances": [1, 2]}\n\n' + named + '\n{"inputs": [3.5]}\n')
    records = _records(version, file)
    assert [record.signature_name for record in records] == ["serving_default", "look_up", "serving_default"]
    assert records[0].inputs["x"].tolist() == [1.0, 2.0]
    assert records[1].inputs["words"].tolist() == [[b"the", b"a"]]
    assert records[1].inputs["negate"].tolist() is True
    assert len(_records(version, file, records=2)) == 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("3", "no JSON object"),
        ('{"instances": ["a"]}', "input `x`: `'a'` is no float32"),
        ('{"signature_name": "nope", "instances": [1]}', "no signature `nope`"),
    ],
)
def test_a_bad_line_is_named_with_file_and_number(version, tmp_path, line, words):
    file = tmp_path / "r.jsonl"
    file.write_text('{"instances": [1]}\n\n' + line + "\n")
    with pytest.raises(TfsError, match=words) as refused:
        _records(version, file)
    assert str(refused.value).startswith(f"`{file}` line 3: ")


def test_arrays_are_cut_by_rows(version, tmp_path):
    file = tmp_path / "r.npz"
    arrays = {"words": np.full((5, 2), "the"), "counts": np.arange(10).reshape(5, 2), "negate": np.array(True)}
    np.savez(file, **arrays)
    records = _records(version, file, "look_up", records=2)
    assert [record.inputs["counts"].tolist() for record in records] == [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9]]]
    assert [record.inputs["words"].shape for record in records] == [(3, 2), (2, 2)]
    assert [record.inputs["negate"].tolist() for record in records] == [True, True]
    assert len(_records(version, file, "look_up")) == 5
    np.savez(file, x=np.ones(100))
    assert [len(record.inputs["x"]) for record in _records(version, file)] == [10] * 10


def test_bad_arrays_are_named(version, tmp_path):
    file = tmp_path / "r.npz"
    np.savez(file, words=np.full((5, 2), "a"), counts=np.ones((4, 1), np.int32), negate=np.array(True))
    with pytest.raises(TfsError, match="unequal numbers of rows"):
        _records(version, file, "look_up")
    np.savez(file, y=np.ones(1))
    with pytest.raises(TfsError, match=rf"`{file}`: there is no input `y`"):
        _records(version, file)
    np.savez(file, x=np.ones(0))
    with pytest.raises(TfsError, match="no rows"):
        _records(version, file)
    np.savez(file, x=np.array([object()], dtype=object))
    with pytest.raises(TfsError, match=rf"`{file}` cannot be read as .npz"):
        _records(version, file)
    for content in (b"", b"text", b"PK\x03\x04"):
        file.write_bytes(content)
        with pytest.raises(TfsError, match=rf"`{file}` cannot be read as .npz"):
            _records(version, file)
    with file.open("wb") as stream:
        np.save(stream, np.ones(1))
    with pytest.raises(TfsError, match="one array without a name"):
        _records(version, file)


def test_missing_and_foreign_files_are_refused(version, tmp_path):
    for name in ("missing.npz", "missing.jsonl"):
        with pytest.raises(TfsError, match=f"{name}`"):
            _records(version, tmp_path / name)
    with pytest.raises(UsageError, match=r"neither \.jsonl nor \.npz"):
        _records(version, tmp_path / "data.csv")
    (tmp_path / "r.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(TfsError, match="no UTF-8"):
        _records(version, tmp_path / "r.jsonl")


def test_more_lines_than_a_server_takes_are_refused(version, tmp_path):
    file = tmp_path / "r.jsonl"
    file.write_text('{"instances": [1]}\n' * 1500)
    records = _records(version, file)
    (tmp_path / "1").mkdir()
    logs = [log_of_record(record) for record in records]
    with pytest.raises(TfsError, match="more than a server takes"):
        write_records(tmp_path / "1", logs)


def test_synthetic_records_differ(version):
    records = synthetic_records(read_signatures(version)["serving_default"], 3)
    values = [record.inputs["x"].tolist() for record in records]
    assert len(values) == 3
    assert values[0] != values[1] != values[2]
    assert len(synthetic_records(read_signatures(version)["serving_default"], None)) == 10
