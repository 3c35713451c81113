"""The meaning of a folder's code as one hash: its syntax trees without docstrings, imports and annotations.

python tests/code_meaning.py generation     # after deciding on GENERATION_VERSION: note the new meaning
python tests/code_meaning.py reading        # after deciding on READING_VERSION
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

_TESTS = Path(__file__).parent
#: the folders whose code has a version, in its `version.py`.
CODE = {name: _TESTS.parent / "src/qiltest" / name for name in ("generation", "reading")}
#: what a reader needs and the interpreter's result does not depend on.
_LEFT_OUT = {"annotation", "returns", "type_comment", "type_params", "ctx", "kind"}
_DEFINITIONS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def meaning_sha256(folder: Path) -> str:
    """Return the SHA-256 over what the modules of a folder do, wherever they lie and whatever they say of it."""
    texts = sorted(_meaning(path.read_text(encoding="utf-8")) for path in folder.rglob("*.py"))
    return hashlib.sha256("\n".join(text for text in texts if text).encode()).hexdigest()


def _meaning(source: str) -> str:
    return " ".join(_tokens(ast.parse(source)))


def _tokens(node: object) -> Iterator[str]:
    """Yield a syntax tree as words; empty fields are left out: Python 3.11, 3.12 and 3.13 agree."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return
    if isinstance(node, ast.AST):
        yield type(node).__name__
        for name, value in ast.iter_fields(node):
            if name in _LEFT_OUT or value is None or value == []:
                continue
            if name == "body" and isinstance(node, _DEFINITIONS):
                value = _without_docstring(value)
            yield f"{name}="
            yield from _tokens(value)
    elif isinstance(node, list):
        for one in node:
            yield from _tokens(one)
    else:
        yield repr(node)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return body[1:] if told else body


def version_in(folder: Path) -> int:
    """Return the version as the source states it, so that nothing of the folder is imported."""
    for node in ast.parse((folder / "version.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            return int(str(node.value.value))
    raise ValueError(f"{folder}/version.py states no version")


def noted(name: str) -> dict[str, object]:
    """Return the version and the meaning that somebody decided on last."""
    return dict(json.loads(_noted_in(name).read_text(encoding="utf-8")))


def current(name: str) -> dict[str, object]:
    """Return the version and the meaning of the code as it is."""
    return {"version": version_in(CODE[name]), "sha256": meaning_sha256(CODE[name])}


def _noted_in(name: str) -> Path:
    return _TESTS / name / "code_meaning.json"


if __name__ == "__main__":
    for named in sys.argv[1:]:
        _noted_in(named).write_text(json.dumps(current(named), indent=1) + "\n", encoding="utf-8")
