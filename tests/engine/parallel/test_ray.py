"""Workers on a Ray cluster of three simulated nodes, in a network namespace with loopback alone."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from builders import case, variant
from fake_generator import FakeGenerator

NODES = Path(__file__).with_name("ray_nodes.py")
NAMESPACE = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def apart():
    """Whether a network namespace of its own can be made here."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'qiltest[ray]'"),
    pytest.mark.skipif(not apart(), reason="no network namespace can be made here, and Ray listens on all interfaces"),
]


@pytest.fixture(scope="module")
def results():
    """What each scenario printed; one cluster serves all."""
    scenarios = ["plain", "too_many", "unplaceable", "none", "removed", "head_lost"]
    path = os.pathsep.join(part for part in sys.path if part)
    done = subprocess.run(
        [*NAMESPACE, sys.executable, str(NODES), *scenarios],
        env={**os.environ, "PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=260,
        check=False,
    )
    lines = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    found = {one["scenario"]: one for one in map(json.loads, lines)}
    assert list(found) == scenarios, done.stdout + done.stderr
    return found


@pytest.fixture(scope="module")
def alone():
    generator, asked = FakeGenerator(), case()
    recipes = [generator.recipe(asked, asked.resolutions[0].size, variant("4step"), seed) for seed in range(9)]
    return {str(seed): generator.decode(generator.denoise(recipe)).sha256 for seed, recipe in enumerate(recipes)}


def test_three_nodes_make_the_images_of_one_process(results, alone):
    assert results["plain"]["images"] == alone
    assert results["plain"]["by"] == [1, 2, 3]
    assert (results["plain"]["notes"], results["plain"]["notices"]) == ([], [])


def test_a_node_that_is_removed_costs_no_image(results, alone):
    assert results["removed"]["images"] == alone
    assert results["removed"]["errors"] == []
    assert len(results["removed"]["notes"]) >= 1
    assert all("died over it" in note and note.endswith("; generated again") for note in results["removed"]["notes"])


def test_a_lost_head_node_ends_the_session_with_the_remedy_and_not_its_process(results, alone):
    lost = results["head_lost"]
    assert lost["images"].items() < alone.items()
    assert len(lost["images"]) >= 2
    said = [error for error in lost["errors"] if error.startswith("WorkersLostError: no worker is left: ")]
    assert len(lost["images"]) + len(lost["errors"]) == 9
    assert said == lost["errors"]
    assert all("head node 127.0.0.1:" in error and "has not answered for 6 s" in error for error in said)
    assert all(error.endswith("start the cluster again, and repeat the command to resume") for error in said)
    assert lost["after"] < 40


def test_workers_that_have_no_place_are_one_error_in_bounded_time(results):
    assert "3 workers of 3 could not be placed within 5 s" in results["unplaceable"]["error"]
    assert results["unplaceable"]["seconds"] < 60
    assert "4 workers, but the cluster has room for 3: one core each" in results["too_many"]["error"]
    assert "no Ray cluster: " in results["none"]["error"]
    assert "ray start --head" in results["none"]["error"]
