"""Steps that make ragged tokens, int32 [n, None], of texts, string [n]."""

from pathlib import Path
from typing import Any

from tfs.exporters.processing.optional import import_tensorflow_text
from tfs.exporters.processing.registry import Applied, step
from tfs.savedmodel.errors import TfsError

__all__ = ["bert", "sentencepiece", "wordpiece"]


@step()
def sentencepiece(*, model: Path, add_bos: bool = False, add_eos: bool = False) -> Applied:
    """Split texts into the pieces of a SentencePiece model.

    Its op carries the model in the graph; the file is kept among the assets as well, for clients and for later exports.
    """
    import tensorflow as tf

    text_ops = import_tensorflow_text()
    content = _existing(model).read_bytes()
    try:
        tokenizer = text_ops.SentencepieceTokenizer(content, out_type=tf.int32, add_bos=add_bos, add_eos=add_eos)
        tokenizer.tokenize([""])
    except tf.errors.OpError as error:
        raise TfsError(f"`{model}` is no SentencePiece model") from error
    return Applied(tokenizer.tokenize, (tokenizer, tf.saved_model.Asset(str(model))))


@step()
def wordpiece(*, vocabulary: Path, unknown_token: str = "[UNK]") -> Applied:  # noqa: S107  a token of texts
    """Split texts at white space, then each word into the longest pieces of a vocabulary file, one in each line."""
    import tensorflow as tf

    text_ops = import_tensorflow_text()
    words = text_ops.WhitespaceTokenizer()
    pieces = text_ops.WordpieceTokenizer(
        _with_word(vocabulary, unknown_token), token_out_type=tf.int32, unknown_token=unknown_token
    )
    return Applied(lambda text: _in_one_row(pieces.tokenize(words.tokenize(text))), (pieces,))


@step()
def bert(*, vocabulary: Path, lower_case: bool = False, unknown_token: str = "[UNK]") -> Applied:  # noqa: S107
    """Split texts as BERT does (at punctuation and between ideographs), then into the pieces of a vocabulary file."""
    import tensorflow as tf

    tokenizer = import_tensorflow_text().BertTokenizer(
        _with_word(vocabulary, unknown_token),
        token_out_type=tf.int32,
        unknown_token=unknown_token,
        lower_case=lower_case,
    )
    return Applied(lambda text: _in_one_row(tokenizer.tokenize(text)), (tokenizer,))


def _existing(file: Path) -> Path:
    if not file.is_file():
        raise TfsError(f"`{file}` does not exist or is no file")
    return file


def _with_word(vocabulary: Path, word: str) -> str:
    """Return the path; a word that is not in the file would become a number that no embedding has."""
    if word.encode() not in _existing(vocabulary).read_bytes().splitlines():
        raise TfsError(f"vocabulary `{vocabulary}` has no line `{word}`", "name its unknown_token")
    return str(vocabulary)


def _in_one_row(pieces_of_words: Any) -> Any:
    """Join the pieces of all words of a text, [n, words, pieces] -> [n, pieces]."""
    return pieces_of_words.merge_dims(-2, -1)
