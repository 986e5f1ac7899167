"""A server with a model for each set of batching parameters."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from clients import Client
from running_server import RunningServer, model_server_config, publish


@contextmanager
def batching_client(saved_model: Path, folder: Path, models: Mapping[str, str | None], *flags: str) -> Iterator[Client]:
    """Serve `saved_model` under the names of `models`, each with its parameters in text format; None is not batched.

    One thread runs batches, so that a long run lets others gather.
    """
    for name, parameters in models.items():
        staged = publish(saved_model, folder / f"{name}.staged", 1)
        if parameters is not None:
            (staged / "batching_params.pbtxt").write_text(parameters)
        (folder / name).mkdir()
        staged.rename(folder / name / "1")
    config, parameters_file = folder / "models.config", folder / "batching.config"
    config.write_text(model_server_config(**{name: folder / name for name in models}))
    # Only the threads count where each model has its own parameters.
    parameters_file.write_text("num_batch_threads { value: 1 } max_batch_size { value: 1 }")
    with (
        RunningServer(
            f"--model_config_file={config}",
            f"--batching_parameters_file={parameters_file}",
            "--enable_per_model_batching_parameters",
            *flags,
        ) as server,
        Client(server) as client,
    ):
        yield client
