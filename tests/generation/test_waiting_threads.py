"""Threads of OpenMP that wait for each other sleep where the CPU generates, unless the user wants it otherwise."""

import os
import subprocess
import sys

import pytest

#: opens the embedded model as far as the import of torch; its library alone is loaded then, and OpenMP with it.
OPEN = """
import ctypes, importlib.util, os, sys

class BeforeTorch:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "torch":
            sys.meta_path.remove(BeforeTorch)
            ctypes.CDLL(os.path.join(os.path.dirname(importlib.util.find_spec(name).origin), "lib", "libtorch_cpu.so"))
            os._exit(0)

sys.meta_path.insert(0, BeforeTorch)
from qiltest.generation import open_generator
open_generator("tiny")
sys.exit("torch was not imported")
"""


def opened(**extra: str) -> str:
    """What torch's OpenMP says of itself when the embedded model is opened in a process of its own."""
    own = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment = own | {"OMP_DISPLAY_ENV": "VERBOSE"} | extra
    done = subprocess.run([sys.executable, "-c", OPEN], env=environment, capture_output=True, text=True, check=True)
    return done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems' OpenMP says it in other words")
@pytest.mark.parametrize(("chosen", "policy"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_the_policy_is_set_before_torch_is_loaded_and_the_users_choice_wins(chosen, policy):
    said = opened(**chosen)
    assert f"OMP_WAIT_POLICY = '{policy}'" in said
    # no policy is called passive too, and threads spin all the same
    assert ("GOMP_SPINCOUNT = '0'" in said) == (policy == "PASSIVE")
