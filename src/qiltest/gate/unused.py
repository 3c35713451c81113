"""Goldens that belong to nothing in the suite: they would never be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qiltest.gate.golden import COPY_SUFFIX, GoldenStore
from qiltest.suite.load import Suite

_FILE = re.compile(r"(?P<variant>.+)-s(?P<seed>[0-9]+)(-r[0-9]+)?\.json")


def unused_goldens(store: GoldenStore, model: str, suite: Suite) -> Iterator[str]:
    """Yield a sentence for each golden of a case, resolution or variant that is not in the suite.

    A variant that is not a default, or a seed that only `--qil-seeds` asks for, is not unused.
    """
    places = {f"{case.id}@{resolution.size}" for case in suite.every for resolution in case.resolutions}
    variants = {variant.name for variant in suite.variants}
    for path in store.files(model):
        match = _FILE.fullmatch(path.name)
        place = path.parent.name
        if match is None:
            reason = "its name is not VARIANT-sSEED.json"
        elif place not in places:
            reason = f"the suite has no case {place}"
        elif match["variant"] not in variants:
            reason = f"variants.toml has no variant {match['variant']}"
        else:
            continue
        yield f"unused golden {path}: {reason}\n  -> remove the file, or restore the case or variant it belongs to"
    for path in sorted(store.folder(model).glob(f"*@*/*{COPY_SUFFIX}")):
        if not path.with_suffix(".json").exists():
            yield f"unused small copy {path}: no golden lies beside it\n  -> remove the file, or restore the golden"
