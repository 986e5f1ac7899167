"""`make demo` does what the README says of it."""

import re
import subprocess
import sys

from project import ROOT


def test_the_demo_goes_from_real_images_to_two_served_versions(tmp_path):
    # In a folder of its own, so that a demo that someone looks at stays as it is.
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    done = subprocess.run(
        [sys.executable, "recipes/digits_demo.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    by_protocol = dict(re.findall(r"(Keras|gRPC|REST) (\d+\.\d+) %", done.stdout))
    assert set(by_protocol) == {"Keras", "gRPC", "REST"}
    assert len(set(by_protocol.values())) == 1
    assert float(by_protocol["Keras"]) > 95
    assert "all 360 answers agree: yes" in done.stdout
    assert re.search(r"^  version 1: [1-9]\d* replies$", done.stdout, re.MULTILINE)
    assert re.search(r"^  version 2: [1-9]\d* replies$", done.stdout, re.MULTILINE)
    assert "switched from version 1 to version 2 with 0 failed requests" in done.stdout
    assert "the server drained and ended with exit code 0" in done.stdout
    assert (tmp_path / ".demo/models/digits/2/saved_model.pb").is_file()
