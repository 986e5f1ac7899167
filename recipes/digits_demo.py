"""The main job, end to end on real data: `make demo`.

Trains the digits model, runs recipes/digits.yaml, serves the result, asks for the held-out digits over gRPC and REST,
trains longer, and publishes version 2 while requests keep flowing.
"""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np

from tfs.savedmodel.native_log import hold_back_native_log
from tfs.savedmodel.protos import load
from tfs.savedmodel.tensors import array_from_proto, proto_from_array

sys.path.insert(0, str(Path(__file__).parent))
import digits

HOME = Path(".demo")
RECIPE = Path("recipes/digits.yaml")
EPOCHS = 4
CLIENTS = 4


def stage(title: str) -> None:
    """Say what comes now, and when."""
    print(f"\n== {title}  [{time.perf_counter() - START:.0f} s]", flush=True)


def tfs(*arguments: str) -> None:
    """Run the command line as a user would; its output is the demo's."""
    print("$ tfs " + " ".join(arguments), flush=True)
    subprocess.run([sys.executable, "-m", "tfs.cli", *arguments], check=True)


def train(model: Any, images: np.ndarray, labels: np.ndarray) -> None:
    """Train for some epochs more and save the model."""
    model.fit(images, labels, epochs=EPOCHS, batch_size=32, verbose=0)
    model.save(HOME / "digits.keras")


def accuracy(classes: np.ndarray, labels: np.ndarray) -> str:
    """Return how many classes are right, as a percentage."""
    return f"{100 * float(np.mean(classes == labels)):.2f} %"


@contextlib.contextmanager
def server() -> Iterator[tuple[str, str]]:
    """Run `tfs serve` on free ports; yield its gRPC and REST addresses."""
    command = [
        "serve",
        "--model_name=digits",
        f"--model_base_path={HOME / 'models/digits'}",
        "--port=-1",
        "--rest_api_port=-1",
    ]
    print("$ tfs " + " ".join(command), flush=True)
    process = subprocess.Popen([sys.executable, "-m", "tfs.cli", *command], stderr=subprocess.PIPE, text=True)
    try:
        yield _addresses(process)
    finally:
        process.terminate()
        print(f"the server drained and ended with exit code {process.wait(30)}")


def _addresses(process: subprocess.Popen[str]) -> tuple[str, str]:
    for line in process.stderr or ():
        print("  " + line.rstrip(), flush=True)
        if found := re.search(r"ready: grpc=(\S+) rest=(\S+)", line):
            threading.Thread(target=_show, args=(process.stderr,), daemon=True).start()
            return found[1], found[2]
    raise SystemExit("error: the server did not start")


def _show(log: Any) -> None:
    for line in log:
        print("  " + line.rstrip(), flush=True)


def ask_grpc(stub: Any, images: np.ndarray) -> tuple[np.ndarray, int]:
    """Return (classes, version) of a Predict call."""
    request = load("predict_pb2").PredictRequest()
    request.model_spec.name = "digits"
    request.inputs["images"].CopyFrom(proto_from_array(images))
    reply = stub.Predict(request, timeout=30)
    return array_from_proto(reply.outputs["classes"]), reply.model_spec.version.value


def ask_rest(client: httpx.Client, images: np.ndarray) -> np.ndarray:
    """Return the classes of a REST request in the row format."""
    reply = client.post("/v1/models/digits:predict", json={"instances": images.tolist()})
    reply.raise_for_status()
    return np.array([row["classes"] for row in reply.json()["predictions"]])


def keep_asking(address: str, images: np.ndarray, stop: threading.Event, tally: Counter[str]) -> None:
    """Ask for one image after the other until told to stop; count replies by version, and failures."""
    with grpc.insecure_channel(address) as channel:
        stub = load("prediction_service_pb2_grpc").PredictionServiceStub(channel)
        index = 0
        while not stop.is_set():
            index = (index + 1) % len(images)
            try:
                tally[f"version {ask_grpc(stub, images[index : index + 1])[1]}"] += 1
            except grpc.RpcError as error:
                tally[f"failed: {error.code().name}"] += 1


def switch_versions(address: str, images: np.ndarray, publish: Any) -> Counter[str]:
    """Call `publish` under load and wait until version 2 answers; return the tally of all replies."""
    stop = threading.Event()
    tallies = [Counter[str]() for _ in range(CLIENTS)]
    clients = [threading.Thread(target=keep_asking, args=(address, images, stop, tally)) for tally in tallies]
    for client in clients:
        client.start()
    publish()
    deadline = time.monotonic() + 30
    while not all(tally["version 2"] > 100 for tally in tallies) and time.monotonic() < deadline:
        time.sleep(0.1)
    stop.set()
    for client in clients:
        client.join()
    return sum(tallies, Counter())


def main() -> None:
    """Run all stages; a failed one ends the demo with exit code 1."""
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()

    stage("train a small CNN on the handwritten digits of scikit-learn")
    (images, labels), (held_out, truth) = digits.images_and_labels()
    with hold_back_native_log():
        model = digits.build_model()
    train(model, images, labels)
    lines = [json.dumps({"instances": [{"images": image.tolist()}]}) for image in images[:20]]
    (HOME / "warmup.jsonl").write_text("\n".join(lines) + "\n")
    by_keras = model.predict(held_out, verbose=0).argmax(-1)
    print(f"{len(images)} images to train, {len(held_out)} held out")
    print(f"accuracy of the Keras model on those held out: {accuracy(by_keras, truth)}")

    stage("export, optimize and warm up version 1")
    tfs("run", str(RECIPE))
    tfs("inspect", str(HOME / "models/digits/1"))

    stage("serve it and ask for the held-out digits")
    with server() as (grpc_address, rest_address):
        with grpc.insecure_channel(grpc_address) as channel:
            by_grpc, _ = ask_grpc(load("prediction_service_pb2_grpc").PredictionServiceStub(channel), held_out)
        with httpx.Client(base_url=f"http://{rest_address}", timeout=30) as client:
            by_rest = ask_rest(client, held_out)
        agree = bool(np.array_equal(by_keras, by_grpc) and np.array_equal(by_keras, by_rest))
        answers = {"Keras": by_keras, "gRPC": by_grpc, "REST": by_rest}
        print("accuracy: " + ", ".join(f"{name} {accuracy(classes, truth)}" for name, classes in answers.items()))
        print(f"all {len(truth)} answers agree: {'yes' if agree else 'NO'}")

        stage("train longer and publish version 2 while requests keep flowing")
        train(model, images, labels)
        tally = switch_versions(grpc_address, held_out, lambda: tfs("run", str(RECIPE)))
        for outcome, count in sorted(tally.items()):
            print(f"  {outcome}: {count} replies")
        failed = sum(count for outcome, count in tally.items() if outcome.startswith("failed"))
        print(f"switched from version 1 to version 2 with {failed} failed requests")
    stage("done")
    if not agree or failed or not tally["version 2"]:
        raise SystemExit(1)


if __name__ == "__main__":
    START = time.perf_counter()
    main()
