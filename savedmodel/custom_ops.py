"""Which ops of a graph do not come with TensorFlow itself."""

from collections.abc import Iterable

__all__ = ["TEXT_LIBRARY", "custom_ops"]

TEXT_LIBRARY = "tensorflow-text"
_TEXT_NAMESPACE = "TFText>"

# tensorflow-text's ops outside its namespace; a test compares them with the installed libraries.
_TEXT_OPS = frozenset(
    (
        "CaseFoldUTF8",
        "ConstrainedSequence",
        "FastBertNormalize",
        "FastWordpieceTokenizeWithOffsets",
        "FindSourceOffsets",
        "MaxSpanningTree",
        "NormalizeUTF8",
        "NormalizeUTF8WithOffsetsMap",
        "PhraseTokenize",
        "RegexSplitWithOffsets",
        "RougeL",
        "SentenceFragments",
        "SentenceFragmentsV2",
        "SentencepieceDetokenizeOp",
        "SentencepieceIdToStringOp",
        "SentencepieceOp",
        "SentencepieceStringToIdOp",
        "SentencepieceTokenizeOp",
        "SentencepieceTokenizeWithOffsetsOp",
        "SentencepieceVocabSizeOp",
        "SplitMergeTokenizeWithOffsets",
        "TokenizerFromLogits",
        "UnicodeScriptTokenizeWithOffsets",
        "WhitespaceTokenizeWithOffsets",
        "WordpieceTokenizeWithOffsets",
    )
)


def custom_ops(ops: Iterable[str]) -> dict[str, list[str]]:
    """Return the ops that need a library beside TensorFlow, by library, in alphabetical order.

    The keys are `tensorflow-text`, and for other ops in a namespace (`Addons>GeluV2`) that namespace. A foreign op
    without a namespace cannot be told from TensorFlow's own.
    """
    found: dict[str, list[str]] = {}
    for op in sorted(ops):
        if op in _TEXT_OPS or op.startswith(_TEXT_NAMESPACE):
            found.setdefault(TEXT_LIBRARY, []).append(op)
        elif ">" in op:
            found.setdefault(op.partition(">")[0], []).append(op)
    return found
