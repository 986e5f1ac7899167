import shutil
from collections import Counter

import numpy as np
import pytest

from tfs.savedmodel.errors import TfsError, UsageError
from tfs.savedmodel.protos import example_pb2
from tfs.savedmodel.reading import read_signatures
from tfs.savedmodel.tfrecord import read_tfrecord, write_tfrecord
from tfs.savedmodel.warmup import log_of_record, read_predict_records, write_records
from tfs.savedmodel.warmup_sources import Selection, add_warmup, records_from_file
from tfs.savedmodel.warmup_summary import summarize_records


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
    with pytest.raises(UsageError, match=r"none of \.jsonl, \.npz"):
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


def _summaries(version, data, selection=None, **options):
    count = add_warmup(version, data, selection or Selection(), **options)
    found = summarize_records(version)
    assert len(found) == count
    return found


@pytest.fixture
def scoring(scoring_model, tmp_path):
    return shutil.copytree(scoring_model, tmp_path / "1")


def test_generated_records_cover_every_signature_by_its_method(scoring):
    found = Counter((record.kind, record.signature_name) for record in _summaries(scoring, None, Selection(None, 3)))
    assert found == {
        ("classify", "serving_default"): 3,
        ("regress", "regress"): 3,
        ("predict", "embed"): 3,
        ("multi_inference", "regress, serving_default"): 1,
    }


def test_generated_records_of_one_signature_differ(version, tmp_path):
    version = shutil.copytree(version, tmp_path / "1")
    [first, second] = _summaries(version, None, Selection("serving_default", 2))
    assert first.inputs["x"].first_values != second.inputs["x"].first_values


def test_repetitions_are_left_out(scoring, tmp_path):
    file = tmp_path / "r.jsonl"
    file.write_text('{"signature_name": "embed", "inputs": {"ids": [[1, 2, 3, 4]], "words": ["a"]}}\n' * 5)
    assert len(_summaries(scoring, file)) == 1


def test_every_batch_size_gets_a_record(scoring, tmp_path):
    found = _summaries(scoring, None, Selection("embed", batch_sizes=(1, 4, 8)))
    assert [record.inputs["ids"].shape for record in found] == [(1, 4), (4, 4), (8, 4)]
    found = _summaries(scoring, None, Selection("regress", batch_sizes=(2, 4)))
    assert [record.examples for record in found] == [2, 4]
    file = tmp_path / "r.jsonl"
    file.write_text('{"signature_name": "embed", "inputs": {"ids": [[1, 2, 3, 4], [5, 6, 7, 8]], "words": ["a", "b"]}}')
    found = _summaries(scoring, file, Selection(batch_sizes=(3,)))
    assert [record.inputs["words"].first_values for record in found] == [("a", "b"), ("a", "b", "a")]


def test_records_are_appended_or_replaced(scoring):
    assert len(_summaries(scoring, None, Selection("embed", 2))) == 2
    assert len(_summaries(scoring, None, Selection("regress", 3), append=True)) == 5
    assert len(_summaries(scoring, None, Selection("regress", 3), append=True)) == 5, "they are there already"
    assert len(_summaries(scoring, None, Selection("regress", 1))) == 1


def test_what_the_check_refuses_is_not_written(scoring):
    def refuse(file):
        assert len(list(read_tfrecord(file))) == 1
        raise TfsError("record 1 does not run")

    with pytest.raises(TfsError, match="does not run"):
        add_warmup(scoring, None, Selection("embed", 1), check=refuse)
    assert not (scoring / "assets.extra").exists()


def _write_examples(file, *features):
    with file.open("wb") as stream:
        examples = [example_pb2.Example() for _ in features]
        for example, (age, size) in zip(examples, features, strict=True):
            example.features.feature["age"].int64_list.value.append(age)
            example.features.feature["size"].float_list.value.extend(size)
        write_tfrecord(stream, [example.SerializeToString() for example in examples])
    return file


def test_examples_become_what_the_signature_takes(scoring, plain_model, tmp_path):
    file = _write_examples(tmp_path / "e.tfrecord", (30, [1.0, 2.0]), (40, [3.0, 4.0]))
    found = _summaries(scoring, file)
    assert [(record.kind, record.examples) for record in found] == [("classify", 1), ("classify", 1)]
    assert found[1].inputs["size"].first_values == (3.0, 4.0)
    assert [record.kind for record in _summaries(scoring, file, Selection("regress", 1))] == ["regress"]
    with pytest.raises(TfsError, match=r"e.tfrecord`: example 0 has no feature for the input `ids`"):
        add_warmup(scoring, file, Selection("embed"))


def test_features_become_the_inputs_of_their_names(version, tmp_path):
    with (tmp_path / "x.tfrecord").open("wb") as stream:
        example = example_pb2.Example()
        example.features.feature["x"].float_list.value.append(2.5)
        write_tfrecord(stream, [example.SerializeToString()])
    [record] = records_of(version, tmp_path / "x.tfrecord")
    assert record.inputs["x"].tolist() == [2.5]


def test_a_file_without_examples_is_refused(scoring, tmp_path):
    for data, words in ((b"no examples, and longer than that", "no TFRecord"), (b"", "has no examples")):
        (tmp_path / "e.tfrecord").write_bytes(data)
        with pytest.raises(TfsError, match=words):
            add_warmup(scoring, tmp_path / "e.tfrecord", Selection())
    with pytest.raises(TfsError, match="cannot be read"):
        add_warmup(scoring, tmp_path / "none.tfrecord", Selection())


def records_of(version, file):
    copy = shutil.copytree(version, file.parent / "version")
    add_warmup(copy, file, Selection())
    return read_predict_records(copy)
