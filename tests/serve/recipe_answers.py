"""Run a recipe of the project and print what the model in memory and TensorFlow's own loaders answer, as JSON.

Called as `python recipe_answers.py NAME OUTPUT` in a folder with the recipes; TensorFlow stays in this process. What
the model in memory is given is worked out here, in Python, not by the steps that the recipe declares.
"""

import base64
import json
import re
import sys
import unicodedata
from pathlib import Path

import numpy as np

sys.path.insert(0, "recipes")

Answers = dict[str, tuple[dict[str, list], dict[str, np.ndarray]]]  # by signature: what is asked, what memory answers


def deepfm() -> Answers:
    import deepfm as source

    from tfs.savedmodel.protos import example_pb2

    random = np.random.default_rng(3)
    counts = random.integers(0, 5000, [5, source.COUNTS])
    counts[0, 1:] = 0
    categories = random.integers(0, source.CATEGORY_SIZE, [5, source.CATEGORIES])
    serialized = []
    for row in range(5):
        example = example_pb2.Example()
        for i, count in enumerate(counts[row]):
            if count:  # the default stands for the others
                example.features.feature[f"count_{i}"].float_list.value.append(count)
        for i, category in enumerate(categories[row]):
            example.features.feature[f"category_{i}"].int64_list.value.append(category)
        serialized.append(example.SerializeToString())
    buckets = np.vectorize(lambda count: int(count + 1).bit_length() - 1)(counts)
    offsets = np.arange(source.COUNTS) * source.BUCKETS
    ids = np.concatenate([buckets + offsets, categories + source.category_offsets()], axis=1)
    prob = source.model()(ids)["prob"].numpy()
    both = np.concatenate([1 - prob, prob], axis=1)
    labels = np.array([[b"no click", b"click"]] * 5, dtype=object)
    return {
        "serving_default": ({"examples": serialized}, {"prob": prob}),
        "ids": ({"ids": ids.tolist()}, {"prob": prob}),
        "classify": ({"inputs": serialized}, {"scores": both, "classes": labels}),
        "regress": ({"inputs": serialized}, {"outputs": prob}),
    }


def text_encoder() -> Answers:
    import sentencepiece
    import text_encoder as source

    network = source.model()
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(source.PIECES))
    names, addresses = source.places()
    names = ["品川プリンスホテル", "株式会社\uff21\uff22\uff23  Inn", "", *names[:5]]
    addresses = ["東京都港区高輪4-10-30", "\uff14丁目", "", *addresses[:5]]

    def numbers(text: str) -> list[int]:
        text = unicodedata.normalize("NFKC", text.lower())
        return pieces.encode(re.sub(" +", " ", re.sub("株式会社|有限会社", "", text)).strip())

    tokens = np.zeros([len(names), source.LENGTH], np.int32)
    for row, name, address in zip(tokens, names, addresses, strict=True):
        joined = [*numbers(address)[:10], 4, *numbers(name)][: source.LENGTH]
        row[source.LENGTH - len(joined) :] = joined
    vector = network(tokens)["vector"].numpy()
    return {"serving_default": ({"name": names, "address": addresses}, {"vector": vector})}


def mnist_softmax() -> Answers:
    import mnist_softmax as source

    _, (images, labels) = source.images_and_labels()
    scores = source.trained().run("scores:0", {"images:0": images[:40]})
    assert (scores.argmax(axis=1) == labels[:40].argmax(axis=1)).mean() > 0.9
    return {"predict_images": ({"images": images[:40]}, {"scores": scores})}


def from_loader(version: Path, asked: Answers) -> dict[str, dict[str, np.ndarray]]:
    """What tf.saved_model.load answers."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(version)).signatures
    answers = {}
    for name, (inputs, _) in asked.items():
        specs = loaded[name].structured_input_signature[1]
        answers[name] = loaded[name](**{alias: tf.constant(inputs[alias], spec.dtype) for alias, spec in specs.items()})
    return answers


def from_v1_loader(version: Path, asked: Answers) -> dict[str, dict[str, np.ndarray]]:
    """What the v1 loader answers, as servers load."""
    import tensorflow as tf

    from tfs.savedmodel.reading import read_signatures

    answers = {}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(version))
        for name, signature in read_signatures(version).items():
            feeds = {signature.inputs[alias].name: value for alias, value in asked[name][0].items()}
            answers[name] = session.run({alias: info.name for alias, info in signature.outputs.items()}, feeds)
    return answers


def _plain(value: object) -> object:
    """Return arrays as lists, and bytes as the REST API writes them."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    return _plain(np.asarray(value).tolist()) if hasattr(value, "dtype") and np.ndim(value) else value


def main(name: str, output: str) -> None:
    from tfs.cli.recipe import read_recipe, run_recipe

    recipe = read_recipe(Path(f"recipes/{name}.yaml"), [f"output={output}"])
    version = Path(run_recipe(recipe, lambda *_: None).path)
    asked = {"deepfm": deepfm, "mnist_softmax": mnist_softmax, "text_encoder": text_encoder}[name]()
    memory = {signature: outputs for signature, (_, outputs) in asked.items()}
    answers = {"memory": memory, "loader": from_loader(version, asked), "v1 loader": from_v1_loader(version, asked)}
    json.dump({"inputs": _plain({name: inputs for name, (inputs, _) in asked.items()}), **_plain(answers)}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
