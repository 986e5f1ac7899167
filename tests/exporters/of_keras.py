"""The sources that the tests name as `of_keras.py:keras_functional` (Keras 3) and `of_keras.py:tf_keras_functional`."""

import importlib

import keras_models


def _factory(package, make):
    return lambda: make(importlib.import_module(package))


for _package in ("keras", "tf_keras"):
    for _make in (keras_models.functional, keras_models.listed, keras_models.sequential):
        globals()[f"{_package}_{_make.__name__}"] = _factory(_package, _make)
    for _name in ("Alone", "ByName", "Listed", "Arguments"):
        globals()[f"{_package}_{_name}"] = _factory(
            _package, lambda keras, name=_name: keras_models.classes(keras)[name]()
        )
