"""Steps that make tokens of texts, against the libraries that trained the vocabularies."""

import io
import sys

import numpy as np
import pytest
import yaml

from tfs.exporters.exporting import export
from tfs.exporters.options import ExportOptions
from tfs.savedmodel.errors import TfsError

_FULL_WIDTH = "\uff34\uff2f\uff2b\uff39\uff2f\u3000Tower"
_TEXTS = [
    "品川プリンスホテル",
    _FULL_WIDTH,
    "東京都港区高輪4-10-30",
    "",
    "大阪府大阪市北区梅田1-1-1",
    "京都タワーホテル",
]
_CLEAN = [
    "品川プリンスホテル",
    "tokyo tower",
    "東京都港区高輪4-10-30",
    "",
    "大阪府大阪市北区梅田1-1-1",
    "京都タワーホテル",
]
_PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "play", "##ing", "the", "Gu", "##itar", "!"]

_MODEL = """
import keras

def echo():
    tokens = keras.Input((8,), name="tokens", dtype="int32")
    return keras.Model(tokens, {"tokens": keras.layers.Identity()(tokens)})
"""

_SIGNATURES = """
pieces:
  inputs: {text: {dtype: string}}
  preprocess:
    - normalize_utf8: &text {of: text}
    - lower: *text
    - regex_replace: {of: text, pattern: " +", replacement: " "}
    - strip: *text
    - sentencepiece: {of: text, model: pieces.model, into: tokens}
    - truncate: {of: tokens, length: 6}
    - pad: {of: tokens, length: 8, side: left}
pairs:
  inputs: {first: {dtype: string}, second: {dtype: string}}
  preprocess:
    - sentencepiece: {of: [first, second], model: pieces.model}
    - truncate: {of: [first, second], length: 3, keep: end}
    - join: {of: [second, first], into: tokens, separator: 4}
    - pad: {of: tokens, length: 8}
words:
  inputs: {text: {dtype: string}}
  preprocess:
    - wordpiece: {of: text, vocabulary: vocabulary.txt, into: tokens}
    - pad: {of: tokens, length: 8}
bert:
  inputs: {text: {dtype: string}}
  preprocess:
    - bert: {of: text, vocabulary: vocabulary.txt, into: tokens}
    - join: {of: tokens, into: tokens, start: 2, end: 3}
    - pad: {of: tokens, length: 8}
"""


@pytest.fixture(scope="module")
def pieces():
    """A SentencePiece model of the texts: its file's content, and how its own library applies it."""
    import sentencepiece

    learned = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_CLEAN * 3),
        model_writer=learned,
        vocab_size=64,
        user_defined_symbols=["<separator>"],
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    return learned.getvalue(), sentencepiece.SentencePieceProcessor(model_proto=learned.getvalue())


@pytest.fixture(scope="module")
def folder(tmp_path_factory, pieces):
    folder = tmp_path_factory.mktemp("texts")
    (folder / "pieces.model").write_bytes(pieces[0])
    (folder / "vocabulary.txt").write_text("\n".join(_PIECES) + "\n")
    (folder / "echo.py").write_text(_MODEL)
    return folder


def _export(folder, signatures):
    options = ExportOptions(source=f"{folder / 'echo.py'}:echo", signatures=yaml.safe_load(signatures))
    return export(options, folder / "models" / "echo")


@pytest.fixture(scope="module")
def loaded(folder):
    import tensorflow as tf

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        version = _export(folder, _SIGNATURES).path
    # What the version needs must be in it.
    for name in ("pieces.model", "vocabulary.txt"):
        (folder / name).rename(folder / f"moved_{name}")
    yield tf.saved_model.load(str(version)).signatures, version
    for name in ("pieces.model", "vocabulary.txt"):
        (folder / f"moved_{name}").rename(folder / name)


def _ask(loaded, name, **texts):
    import tensorflow as tf

    return loaded[0][name](**{alias: tf.constant(several) for alias, several in texts.items()})["tokens"].numpy()


def test_pieces_are_those_of_sentencepiece_itself(loaded, pieces):
    expected = np.zeros([len(_TEXTS), 8], np.int32)
    for row, text in zip(expected, _CLEAN, strict=True):
        tokens = pieces[1].encode(text)[:6]
        row[len(row) - len(tokens) :] = tokens
    assert (expected > 0).sum() > 10
    np.testing.assert_array_equal(_ask(loaded, "pieces", text=_TEXTS), expected)


def test_pairs_are_joined_by_a_separator(loaded, pieces):
    first, second = ["京都タワーホテル", ""], ["東京都港区高輪4-10-30", "品川"]
    expected = np.zeros([2, 8], np.int32)
    for row, *both in zip(expected, second, first, strict=True):
        one, other = (pieces[1].encode(text)[-3:] for text in both)
        tokens = [*one, 4, *other]
        row[: len(tokens)] = tokens
    np.testing.assert_array_equal(_ask(loaded, "pairs", first=first, second=second), expected)


def test_words_are_split_into_the_longest_pieces_of_the_vocabulary(loaded):
    tokens = _ask(loaded, "words", text=["the playing", "Guitar!", ""])
    assert tokens.tolist() == [[6, 4, 5, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0], [0] * 8]


def test_bert_splits_at_punctuation_and_marks_both_ends(loaded):
    tokens = _ask(loaded, "bert", text=["the Guitar!", ""])
    assert tokens.tolist() == [[2, 6, 7, 8, 9, 3, 0, 0], [2, 3, 0, 0, 0, 0, 0, 0]]


def test_vocabularies_are_assets_each_once(loaded):
    assert sorted(file.name for file in (loaded[1] / "assets").iterdir()) == ["pieces.model", "vocabulary.txt"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("{sentencepiece: {of: text, model: none.model}}", "step `sentencepiece`: `none.model` does not exist"),
        ("{sentencepiece: {of: text, model: echo.py}}", "`echo.py` is no SentencePiece model"),
        ("{wordpiece: {of: text, vocabulary: none.txt}}", "step `wordpiece`: `none.txt` does not exist"),
        ("{bert: {of: text, vocabulary: echo.py}}", "vocabulary `echo.py` has no line `[UNK]`"),
        ("{regex_replace: {of: text, pattern: '('}}", "pattern `(` is no RE2 expression"),
        ("{lower: {of: text, into: tokens}}", "`tokens` is string and cannot be cast to int32"),
    ],
)
def test_a_step_that_cannot_be_made_is_one_line(folder, monkeypatch, step, message):
    monkeypatch.chdir(folder)
    with pytest.raises(TfsError) as refused:
        _export(folder, f"wrong: {{inputs: {{text: {{dtype: string}}}}, preprocess: [{step}]}}")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_tensorflow_text_one_line_says_what_to_install(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)  # what an import of it finds where it is not installed
    with pytest.raises(TfsError, match=r"tensorflow-text, which is not installed \(pip install 'tfs\[text\]'\)"):
        _export(folder, "wrong: {inputs: {text: {dtype: string}}, preprocess: [{normalize_utf8: {of: text}}]}")
