"""Three simulated nodes of a Ray cluster, in a network of their own: what tests/engine/parallel/test_ray.py runs.

    unshare -n sh -c 'ip link set lo up; exec python ray_nodes.py SCENARIO'

Ray listens on every interface, also where it is told a loopback address: so it runs where there is no other one.
"""

import json
import sys
import time
from functools import partial

import ray
from ray.cluster_utils import Cluster

from builders import case, variant
from fake_generator import FakeGenerator
from qiltest.engine.loops import Timed
from qiltest.engine.parallel import ray_cluster
from qiltest.engine.parallel.generator import WorkersGenerator
from qiltest.engine.parallel.orders import Arrival, Limits
from qiltest.engine.parallel.pool import WorkerPool
from qiltest.engine.parallel.records import Setup
from qiltest.errors import QiltestError

CASE, VARIANT, SEEDS = case(), variant("4step"), 9
TIMED = Timed(rounds=1, warms_up=False, device="cpu")


def cluster():
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes = [found.add_node(num_cpus=1) for _ in range(2)]
    return found, nodes


def session(address, opener, *, during=lambda number: None):
    """Generate on all nodes; what was delivered, by seed."""
    places, start = ray_cluster.join(address, "all", threads=1)
    started = []

    def noting(place, setup):
        started.append(start(place, setup))
        return started[-1]

    setup = Setup(open_generator=opener, timed=TIMED)
    limits = Limits(start=120, image=60, more=60)
    pool = WorkerPool(places, setup, noting, limits=limits)
    ray_cluster.placed(started)
    generator, found = WorkersGenerator(pool, ray_cluster.leave), {}

    def deliver(number, arrival):
        found[number] = arrival
        during(len(found))

    size = CASE.resolutions[0].size
    recipes = {seed: generator.recipe(CASE, size, VARIANT, seed) for seed in range(SEEDS)}
    generator.prepare(["p"])
    generator.begin(deliver)
    generator.order(recipes)
    deadline = time.monotonic() + 120
    while len(found) < SEEDS and time.monotonic() < deadline:
        time.sleep(0.05)
    generator.close()
    return {
        "workers": len(places),
        "images": {seed: one.image.sha256 for seed, one in sorted(found.items()) if isinstance(one, Arrival)},
        "errors": [f"{type(one).__name__}: {one}" for one in found.values() if not isinstance(one, Arrival)],
        "by": sorted({one.made_on.worker for one in found.values() if isinstance(one, Arrival)}),
        "notes": sorted(note for one in found.values() if isinstance(one, Arrival) for note in one.notes),
        "notices": pool.notices,
    }


def removed(found, nodes):
    """Take a node away while it generates."""
    done = []

    def during(number):
        if number >= 2 and not done:
            done.append(True)
            found.remove_node(nodes[-1], allow_graceful=False)

    return session(found.address, partial(FakeGenerator, wait=0.7), during=during)


def head_lost(found, nodes):
    """End the head's control process while images are generated."""
    done = []

    def during(number):
        if number >= 2 and not done:
            done.append(time.monotonic())
            found.head_node.kill_gcs_server()

    ray_cluster.LOST, ray_cluster._BEAT = 6.0, 1.0
    result = session(found.address, partial(FakeGenerator, wait=3.0), during=during)
    return {**result, "after": time.monotonic() - done[0]}


def unplaceable(found, nodes):
    """Another job holds the nodes."""
    ray.init(address=found.address, log_to_driver=False)

    @ray.remote(num_cpus=1)
    class Holder:
        def ping(self):
            pass

    holders = [Holder.remote() for _ in range(3)]
    ray.get([holder.ping.remote() for holder in holders], timeout=120)
    whole, ray_cluster.PLACING = ray_cluster.PLACING, 5.0
    error = told(lambda: session(found.address, FakeGenerator))
    ray_cluster.PLACING = whole
    ray.shutdown()  # and the other job with it
    return error


def too_many(found, nodes):
    return told(lambda: ray_cluster.join(found.address, 4, threads=1))


def told(act):
    try:
        act()
    except QiltestError as error:
        return {"error": str(error)}
    return {}


SCENARIOS = {
    "plain": lambda found, nodes: session(found.address, partial(FakeGenerator, wait=0.3)),
    "removed": removed,
    "head_lost": head_lost,
    "unplaceable": unplaceable,
    "too_many": too_many,
    "none": lambda found, nodes: told(lambda: ray_cluster.join("127.0.0.1:1", 1, threads=1)),
}

if __name__ == "__main__":
    simulated, others = cluster()
    for name in sys.argv[1:]:
        begin = time.monotonic()
        result = SCENARIOS[name](simulated, others)
        told_of = {"scenario": name, "seconds": round(time.monotonic() - begin, 1), **result}
        sys.stdout.write(f"RESULT {json.dumps(told_of)}\n")
        sys.stdout.flush()
    simulated.shutdown()
