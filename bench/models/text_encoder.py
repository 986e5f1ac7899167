"""A text encoder for names and addresses of places: SentencePiece, embedding, LSTM, attention, one unit vector.

Texts are made up from a fixed seed, 30,000 pieces are learned from them, and 15 of them reach the network: ten of the
address, a separator, then the name, filled up on the left.
"""

import io
from typing import Any

import numpy as np

__all__ = ["model", "rows", "text", "tokens", "tokens_rows"]

SEED = 20261120
VOCABULARY, DIMENSION, HEADS = 30_000, 256, 8
LENGTH, ADDRESS_LENGTH = 15, 10
SEPARATOR = 4  # the first piece after padding, unknown, begin and end
TEXTS = 120_000  # enough for 30,000 pieces to occur


def model() -> Any:
    """Return the network: tokens, int32 [n, 15] with 0 as padding -> unit vectors, float32 [n, 256]."""
    import keras
    from keras import layers, ops

    keras.utils.set_random_seed(SEED)

    class Encoder(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = layers.Embedding(VOCABULARY, DIMENSION, mask_zero=True)
            self.lstm = layers.LSTM(DIMENSION, return_sequences=True)
            self.attention = layers.MultiHeadAttention(HEADS, DIMENSION // HEADS)
            self.norm_in, self.norm_out = (layers.LayerNormalization(epsilon=1e-6) for _ in range(2))
            self.widen = layers.Dense(2 * DIMENSION, activation="relu")
            self.narrow = layers.Dense(DIMENSION)

        def call(self, tokens: Any) -> Any:
            mask = self.embedding.compute_mask(tokens)
            x = self.lstm(self.embedding(tokens) * DIMENSION**0.5, mask=mask)
            x = self.norm_in(x + self.attention(x, x, attention_mask=mask[:, None, :]))
            x = self.norm_out(x + self.narrow(self.widen(x)))
            return ops.normalize(x[:, -1, :], axis=-1)

    encoder = Encoder()
    encoder(np.zeros([1, LENGTH], np.int32))
    return encoder


def tokens(model: Any) -> Any:
    """Return the signature that takes tokens."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None, LENGTH], tf.int32, name="tokens")])
    def serving_default(tokens: Any) -> dict[str, Any]:
        return {"vector": model(tokens)}

    return serving_default


def text(model: Any) -> Any:
    """Return the signature that takes names and addresses, string [n] each."""
    import tensorflow as tf
    import tensorflow_text as tf_text

    # What hangs on the model is saved with it.
    tokenizer = model.tokenizer = tf_text.SentencepieceTokenizer(model=_learn_pieces())
    string = tf.TensorSpec([None], tf.string)

    def tokenize(strings: Any) -> Any:
        return tokenizer.tokenize(tf.strings.strip(tf_text.normalize_utf8(tf.strings.lower(strings, "utf-8"))))

    @tf.function(input_signature=[string, string])
    def serving_default(name: Any, address: Any) -> dict[str, Any]:
        separator = tf.RaggedTensor.from_tensor(tf.fill([tf.shape(name)[0], 1], SEPARATOR))
        pieces = tf.concat([tokenize(address)[:, :ADDRESS_LENGTH], separator, tokenize(name)], axis=1)[:, :LENGTH]
        padding = LENGTH - pieces.row_lengths()
        zeros = tf.RaggedTensor.from_row_lengths(tf.zeros([tf.reduce_sum(padding)], tf.int32), padding)
        return {"vector": model(tf.concat([zeros, pieces], axis=1).to_tensor(shape=[None, LENGTH]))}

    return serving_default


def rows(count: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return names and addresses, string [count] each."""
    names, addresses = _places(count, generator)
    return {"name": _encoded(names), "address": _encoded(addresses)}


def tokens_rows(count: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return tokens, int32 [count, 15], filled up on the left with up to seven zeros."""
    tokens = generator.integers(SEPARATOR, VOCABULARY, [count, LENGTH]).astype(np.int32)
    tokens[np.arange(LENGTH) < generator.integers(0, 8, [count, 1])] = 0
    return {"tokens": tokens}


def _learn_pieces() -> bytes:
    """Return a SentencePiece model; the same one every time, since one thread learns it from the same texts."""
    import sentencepiece

    names, addresses = _places(TEXTS // 2, np.random.default_rng(SEED))
    learned = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(names + addresses),
        model_writer=learned,
        vocab_size=VOCABULARY,
        character_coverage=1.0,
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        user_defined_symbols=["<separator>"],
        num_threads=1,
        minloglevel=2,
    )
    return learned.getvalue()


def _places(count: int, generator: np.random.Generator) -> tuple[list[str], list[str]]:
    """Return names as of hotels and addresses as of houses, of words that are the frequenter the earlier they came."""
    vocabulary = np.random.default_rng(SEED)
    han, katakana = [chr(0x4E00 + i) for i in range(2000)], [chr(0x30A1 + i) for i in range(85)]

    def words(characters: list[str], number: int, shortest: int, longest: int) -> list[str]:
        lengths = vocabulary.integers(shortest, longest + 1, number)
        return ["".join(vocabulary.choice(characters, length)) for length in lengths]

    towns, brands, kinds = words(han, 12_000, 2, 3), words(katakana, 12_000, 3, 6), words(han, 3_000, 1, 2)

    def pick(words: list[str]) -> list[str]:
        weights = np.arange(1, len(words) + 1) ** -0.7
        return [words[i] for i in generator.choice(len(words), count, p=weights / weights.sum())]

    names = ["".join(parts) for parts in zip(pick(towns), pick(brands), pick(kinds), strict=True)]
    houses = ["-".join(map(str, numbers)) for numbers in generator.integers(1, 40, [count, 3])]
    addresses = [
        f"{county}県{town}市{house}" for county, town, house in zip(pick(towns), pick(towns), houses, strict=True)
    ]
    return names, addresses


def _encoded(strings: list[str]) -> np.ndarray:
    return np.array([string.encode() for string in strings], dtype=object)
