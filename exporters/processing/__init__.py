"""Steps of pre- and post-processing that become part of an exported model; one small function each.

A step is declared in a recipe by its name, with its arguments: `- truncate: {of: tokens, length: 15}`.
"""

from tfs.exporters.processing import classes, sequences, texts, tokenizers  # noqa: F401  (registers their steps)
