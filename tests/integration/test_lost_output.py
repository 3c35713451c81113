"""A command whose result standard output loses does not end with 0."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
LORA = ("lora", "embedded::4step")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    ("words", "unbuffered"),
    [(LORA, ""), (LORA, "1"), ((*LORA, "--json"), ""), (("--help",), ""), (("lora", "--help"), "")],
)
def test_output_that_a_full_disk_loses_is_an_error(words, unbuffered):
    command = [sys.executable, "-m", "qiltest", *words]
    env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with FULL.open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, env=env)
    assert done.returncode == 2
    assert done.stderr.startswith("qiltest: the result cannot be written to standard output: No space left on device\n")
    assert done.stderr.count("\n") == 2
