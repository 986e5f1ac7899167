"""What models are computed on: what the flags about devices ask of TensorFlow, and whether it has found that."""

import logging
from collections.abc import Sequence
from typing import Any

from tfs.savedmodel.errors import TfsError
from tfs.serve._engine import Device
from tfs.serve.options import DeviceChoice, ServerOptions

__all__ = ["check_devices", "choose_devices"]

_logger = logging.getLogger(__name__)

_GPU = "GPU"
_GPU_FLAGS = ("visible_devices", "gpu_memory_growth", "per_process_gpu_memory_fraction")


def choose_devices(config: Any, options: ServerOptions) -> None:
    """Write the flags about devices over the fields of a ConfigProto; what no flag names stays."""
    if options.device == DeviceChoice.CPU:
        config.device_count[_GPU] = 0
    elif options.device == DeviceChoice.GPU and config.device_count.get(_GPU) == 0:
        del config.device_count[_GPU]
    if options.visible_devices:
        config.gpu_options.visible_device_list = options.visible_devices
    if options.gpu_memory_growth:
        config.gpu_options.allow_growth = True


def check_devices(tensorflow_version: str, devices: Sequence[Device], options: ServerOptions) -> None:
    """Log what TensorFlow has found in one line.

    Raises:
        TfsError: a GPU was asked for, and there is none.
    """
    found = ", ".join(_described(device) for device in devices)
    has_gpu = any(device.kind == _GPU for device in devices)
    if options.device == DeviceChoice.GPU and not has_gpu:
        raise TfsError(
            f"--device=gpu, but TensorFlow {tensorflow_version} has found no GPU, only {found}",
            "`nvidia-smi` must list a GPU, and pip install 'tensorflow[and-cuda]' brings CUDA's libraries; "
            "TF_CPP_MIN_LOG_LEVEL=0 in the environment shows what TensorFlow misses",
        )
    _logger.info("TensorFlow %s computes on %s", tensorflow_version, found)
    for name in _GPU_FLAGS:
        if getattr(options, name) and not has_gpu:
            _logger.warning("--%s has no effect: there is no GPU to compute on", name)


def _described(device: Device) -> str:
    # TensorFlow's number for a CPU is a constant, not the machine's memory.
    return device.name if device.kind == "CPU" else f"{device.name} ({device.memory_bytes / 1e9:.1f} GB)"
