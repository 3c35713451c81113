"""Modules of the embedded model's training, and glyphs for them."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

TOOLS = Path(__file__).parents[2] / "tools" / "tiny_model"


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """One thread: its tensors are too small for more, and the same sums are added in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def training() -> Iterator[Callable[[str], ModuleType]]:
    """Import a module of the embedded model's training; none stays behind under its plain name (`data`, `models`)."""
    before = set(sys.modules)
    sys.path.insert(0, str(TOOLS))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(TOOLS))
        for name in set(sys.modules) - before:
            if getattr(sys.modules[name], "__file__", None) and Path(sys.modules[name].__file__).parent == TOOLS:
                del sys.modules[name]


@pytest.fixture(scope="module")
def glyphs(training: Callable[[str], ModuleType]) -> object:
    """The embedded model's glyphs."""
    return training("data").Glyphs(training("charset").charset())


@pytest.fixture(scope="module")
def atlas(glyphs: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An atlas of random patches: a machine need not have the fonts."""
    path, rng = tmp_path_factory.mktemp("atlas") / "atlas.npz", np.random.default_rng(0)
    shapes = {"narrow": (2, len(glyphs.narrow), 32, 16), "wide": (2, len(glyphs.wide), 32, 32)}
    np.savez(path, **{name: rng.integers(0, 256, shape, np.uint8) for name, shape in shapes.items()})
    return path
