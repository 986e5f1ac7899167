"""The engine without a network: prints the calls/s of version 1, see in_process.py.

    python in_process_loop.py MODEL_NAME BASE_PATH SECONDS THREADS [FLAG=VALUE ...]

The request comes on stdin, a serialized PredictRequest. The flags are those of `tfs serve`, about its threads.
"""

import os
import sys

from tfs.serve.execution import execution_of
from tfs.serve.options import ServerOptions
from tfs.serve.tensorflow_engine import new_engine


def main(name: str, base_path: str, seconds: str, threads: str, *flags: str) -> None:
    """Print the calls per second."""
    named = dict(flag.split("=") for flag in flags)
    values = {flag: int(value) if value.isdecimal() else value for flag, value in named.items()}
    engine = new_engine(execution_of(ServerOptions(model_name=name, model_base_path=base_path, **values)))
    engine.load(name, 1, os.path.join(base_path, "1"))
    request = sys.stdin.buffer.read()
    elapsed, latencies, failures = engine.run_loop(name, 1, [request], seconds=float(seconds), threads=int(threads))
    if failures:
        sys.exit(f"the request does not run: {failures}")
    print(len(latencies) / elapsed)


if __name__ == "__main__":
    main(*sys.argv[1:])
