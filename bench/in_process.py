"""The engine without a network: `python bench/in_process.py MODEL_NAME BASE_PATH SECONDS` prints calls/s of version 1.

The request comes on stdin, a serialized PredictRequest. As many threads as cores run it, set up as `tfs serve` does.
"""

import os
import sys

from tfs.serve.execution import execution_of
from tfs.serve.options import ServerOptions
from tfs.serve.tensorflow_engine import new_engine


def main(name: str, base_path: str, seconds: str) -> None:
    """Print the calls per second."""
    engine = new_engine(execution_of(ServerOptions(model_name=name, model_base_path=base_path)))
    engine.load(name, 1, os.path.join(base_path, "1"))
    request = sys.stdin.buffer.read()
    print(engine.run_loop(name, 1, request, seconds=float(seconds), threads=os.cpu_count() or 1))


if __name__ == "__main__":
    main(*sys.argv[1:])
