"""A text encoder for names and addresses of places: SentencePiece, embedding, LSTM, attention, one unit vector.

recipes/places.tsv holds 320 made-up places (name, tab, address). The pieces are learned from it; the weights are those
of the seed, which is enough to show how such a model is exported.
"""

import io
from pathlib import Path
from typing import Any

__all__ = ["PIECES", "model", "places"]

SEED = 20261120
VOCABULARY, DIMENSION, HEADS = 600, 64, 4
LENGTH = 15
PIECES = Path(".demo/text_encoder/pieces.model")  # recipes/text_encoder.yaml names it too
_PLACES = Path(__file__).with_name("places.tsv")


def places() -> tuple[list[str], list[str]]:
    """Return the names and the addresses of the corpus."""
    rows = [line.split("\t") for line in _PLACES.read_text(encoding="utf-8").splitlines()]
    return [name for name, _ in rows], [address for _, address in rows]


def model() -> Any:
    """Learn the pieces, write them to `PIECES`, and return the network that takes their numbers.

    It is tokens, int32 [n, 15] with 0 as padding -> vector, float32 [n, 64], each of length 1.
    """
    import keras
    from keras import layers, ops

    PIECES.parent.mkdir(parents=True, exist_ok=True)
    PIECES.write_bytes(_learn_pieces())
    keras.utils.set_random_seed(SEED)
    tokens = keras.Input((LENGTH,), name="tokens", dtype="int32")
    known = ops.not_equal(tokens, 0)
    x = layers.Embedding(VOCABULARY, DIMENSION)(tokens) * DIMENSION**0.5
    x = layers.LSTM(DIMENSION, return_sequences=True)(x, mask=known)
    attended = layers.MultiHeadAttention(HEADS, DIMENSION // HEADS)(x, x, attention_mask=known[:, None, :])
    x = layers.LayerNormalization(epsilon=1e-6)(x + attended)
    forward = layers.Dense(DIMENSION)(layers.Dense(2 * DIMENSION, activation="relu")(x))
    x = layers.LayerNormalization(epsilon=1e-6)(x + forward)
    return keras.Model(tokens, {"vector": layers.UnitNormalization(name="vector")(x[:, -1, :])})


def _learn_pieces() -> bytes:
    """Return a SentencePiece model; the same one every time, since one thread learns it from the same texts."""
    import sentencepiece

    names, addresses = places()
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
        user_defined_symbols=["<separator>"],  # number 4
        num_threads=1,
        minloglevel=2,
    )
    return learned.getvalue()
