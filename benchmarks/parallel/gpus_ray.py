"""The same images through Ray on this host, in a network namespace that has nothing but loopback.

Run as a script inside such a namespace, this file brings loopback up, starts a cluster of one node, runs the command
that it is given; the cluster's processes end with the namespace:

    unshare -n -p -f --kill-child --mount-proc python gpus_ray.py GPUS COMMAND...
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import struct
import subprocess
import sys
import time
from importlib.util import find_spec

from gpus_sessions import Found, Lab, same_images, suite_session

_ADDRESS = "127.0.0.1:6379"
_RAY = [sys.executable, "-m", "ray.scripts.scripts"]
_APART = ["unshare", "-n", "-p", "-f", "--kill-child", "--mount-proc", sys.executable, __file__]
#: of Linux: read and write an interface's flags, and the flag "up".
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1


def ray_session(lab: Lab) -> Found:
    """Generate the 8-step images on the actors of a cluster of one node; says why where that cannot be."""
    if find_spec("ray") is None:
        return {"not_run": "Ray is not installed here"}
    if why := _no_namespace():
        return {"not_run": f"Ray listens on every interface, and no network namespace can be made here: {why}"}

    def wrap(command: list[str]) -> list[str]:
        return [*_APART, "0" if lab.dry else "2", *command]

    cluster = [f"--qil-cluster={_ADDRESS}", *(["--qil-workers=1"] if lab.dry else [])]
    found = suite_session(lab, "ray", "--qil-variant=8step", *cluster, gpus="0,1", wrap=wrap)
    return found | {"same_as_none": same_images(lab.stages.get("none", {}), found)}


def _no_namespace() -> str:
    if shutil.which("unshare") is None:
        return "unshare is missing"
    tried = subprocess.run([*_APART, "", "true"], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else tried.stderr.strip()[-200:]


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        flags = fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack("16sH14x", b"lo", 0))
        up = struct.unpack("16sH14x", flags)[1] | _UP
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14x", b"lo", up))


def main() -> int:
    """Run a command beside a cluster that has this many GPUs; "" starts none."""
    gpus, command = sys.argv[1], sys.argv[2:]
    _loopback_up()
    if not gpus:
        return subprocess.run(command, check=False).returncode
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    env = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", **token}
    begin = time.perf_counter()
    start = ["start", "--head", "--port=6379", "--include-dashboard=false", f"--num-gpus={gpus}"]
    subprocess.run([*_RAY, *start], env=env, check=True, timeout=90)
    print(f"ray start took {time.perf_counter() - begin:.1f} s", flush=True)
    return subprocess.run(command, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
