"""Where the time of a forward goes: kernels by kind, gaps between them, and the rates of the forward's own products."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

Found = dict[str, Any]

#: the first that fits a kernel's name says its kind; all others are elementwise passes and norms. The compiler names
#: its own kernels by all that they do, a copy or what attention takes among it.
_KINDS = (
    ("elementwise", re.compile(r"triton_(?!tem)")),
    ("attention", re.compile(r"flash|fmha|sdpa|attention|mha_", re.IGNORECASE)),
    ("products", re.compile(r"gemm|nvjet|cutlass|cublas|xmma|splitk|gemv|triton_tem", re.IGNORECASE)),
    ("copies", re.compile(r"memcpy|memset|copy", re.IGNORECASE)),
)
_BACKENDS = {
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}


def seconds_each(act: Callable[[], object], times: int) -> Found:
    """Run it `times` times in a row; return seconds by device events, by wall, and those of the processor alone."""
    cuda = torch.cuda.is_available()
    if not cuda:
        begin = time.perf_counter()
        for _ in range(times):
            act()
        wall = (time.perf_counter() - begin) / times
        return {"median": wall, "wall": wall, "host": wall}
    events = [torch.cuda.Event(enable_timing=True) for _ in range(times + 1)]  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    begin = time.perf_counter()
    events[0].record()
    for event in events[1:]:
        act()
        event.record()
    host = (time.perf_counter() - begin) / times
    torch.cuda.synchronize()
    wall = (time.perf_counter() - begin) / times
    each = [one.elapsed_time(other) / 1000 for one, other in pairwise(events)]
    return {"median": median(each), "wall": wall, "host": host, "each": each}


def split(act: Callable[[], object], times: int = 2) -> Found:
    """Profile it; return milliseconds a run by kind of kernel, the share of gaps, and the slowest kernels."""
    if not torch.cuda.is_available():
        return {"left_out": "no GPU"}
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(times):
            act()
        torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8", errors="replace"))["traceEvents"]
    kernels = [one for one in events if one.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")]
    return summed([(str(one["name"]), float(one["ts"]), float(one["dur"])) for one in kernels], times)


def summed(kernels: list[tuple[str, float, float]], times: int) -> Found:
    """Return what (name, begin, length) in microseconds come to; overlapping kernels count once as busy."""
    if not kernels:
        return {"left_out": "the profiler saw no kernel"}
    kinds: Counter[str] = Counter()
    names: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    busy, end = 0.0, float("-inf")
    for name, begin, length in sorted(kernels, key=lambda one: one[1]):
        kinds[kind_of(name)] += length  # type: ignore[assignment]
        names[name[:120]] += length  # type: ignore[assignment]
        calls[name[:120]] += 1
        busy += max(0.0, begin + length - max(begin, end))
        end = max(end, begin + length)
    span = end - min(begin for _, begin, _ in kernels)
    slowest = [
        {"name": name, "milliseconds": spent / times / 1000, "calls": calls[name] / times, "kind": kind_of(name)}
        for name, spent in names.most_common(24)
    ]
    return {
        "milliseconds": {kind: spent / times / 1000 for kind, spent in kinds.items()},
        "busy_milliseconds": busy / times / 1000,
        "span_milliseconds": span / times / 1000,
        "gap_share_in_profile": 1 - busy / span,
        "kernels": len(kernels) / times,
        "slowest": slowest,
    }


def kind_of(name: str) -> str:
    """Return the kind of a kernel."""
    return next((kind for kind, pattern in _KINDS if pattern.search(name)), "elementwise")


def own_products(shapes: dict[tuple[int, int, int], int], device: str, dtype: torch.dtype) -> Found:
    """Time the forward's own products, (rows, in, out) -> how many there are, with and without a bias.

    Returns the seconds of all of them together and their rate, each product at its best way.
    """
    rows, total, operations = [], 0.0, 0.0
    for (tokens, into, out), count in shapes.items():
        states = torch.randn(tokens, into, device=device, dtype=dtype)
        weight = torch.randn(out, into, device=device, dtype=dtype)
        bias = torch.randn(out, device=device, dtype=dtype)
        spent = {
            "bias": _best(lambda: functional.linear(states, weight, bias)),  # noqa: B023  called at once
            "no bias": _best(lambda: functional.linear(states, weight)),  # noqa: B023
        }
        best = min(spent.values())
        total += best * count
        operations += 2.0 * tokens * into * out * count
        rows.append({"tokens": tokens, "in": into, "out": out, "count": count, "seconds": spent})
    return {"seconds": total, "tera_operations_a_second": operations / total / 1e12, "shapes": rows}


def own_attention(tokens: int, heads: int, channels: int, device: str, dtype: torch.dtype) -> Found:
    """Time attention over so many tokens, by torch's own choice and by each backend."""

    def made() -> torch.Tensor:
        return torch.randn(1, tokens, heads, channels, device=device, dtype=dtype).transpose(1, 2)

    query, key, value = made(), made(), made()
    operations = 4.0 * tokens**2 * heads * channels
    found: Found = {}
    for name in ("torch's choice", *_BACKENDS):
        try:
            if name in _BACKENDS:
                with sdpa_kernel(_BACKENDS[name]):
                    spent = _best(lambda: functional.scaled_dot_product_attention(query, key, value))
            else:
                spent = _best(lambda: functional.scaled_dot_product_attention(query, key, value))
            found[name] = {"seconds": spent, "tera_operations_a_second": operations / spent / 1e12}
        except RuntimeError as error:
            found[name] = {"error": str(error)[:200]}
    return found


def _best(act: Callable[[], object]) -> float:
    act()
    return float(seconds_each(act, 20)["wall"])  # events between small products would be longer than these
