"""Run mutmut over groups of modules, each with the tests that are its own, and count what survives, module by module.

    pip install mutmut==3.8.1
    python tools/mutation.py runs border --jobs 16 --output mutation.json

mutmut changes one thing at a time in a copy of the sources; a change that no test notices has survived. It reads its
settings from pyproject.toml, so each group is run in a copy of the project with settings of its own.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: by group: the modules that are changed, the tests that must notice; below src/qiltest and tests.
GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "scoring": (("scoring/*.py",), ("scoring", "gate")),
    "gate": (("gate/*.py",), ("gate",)),
    "comparison": (("comparison/*.py",), ("comparison",)),
    "runs": (("runs/*.py",), ("runs",)),
    "border": (
        ("files.py", "strict_json.py", "hashing.py", "text/escape.py", "text/console.py", "text/unseen.py"),
        (
            "test_files.py",
            "test_border_words.py",
            "test_file_words.py",
            "test_leftovers.py",
            "test_home_folder.py",
            "test_strict_json.py",
            "test_hashing.py",
            "test_hashing_words.py",
            "text",
            "runs/test_events.py",
            "runs/test_parsed_lines.py",
        ),
    ),
    "lora": (
        ("lora/header.py", "lora/factors.py", "lora/kinds.py", "lora/safetensors_file.py", "lora/adapter_config.py"),
        ("lora",),
    ),
    "model": (
        ("generation/border.py", "generation/identity.py", "generation/whole.py", "generation/_keys.py"),
        (
            "generation/test_border.py",
            "generation/test_identity.py",
            "generation/test_whole.py",
            "generation/test_model_words.py",
        ),
    ),
}
#: tests that start processes or take long: they would notice little that the others do not.
LEFT_OUT = (
    "test_silence", "two_hundred_lines", "same_every_time", "leads_out_of_the_folder", "processes_that_write",
    "killed_at_any_step", "without_torch",
)  # fmt: skip
COPIED = ("cases", "golden", "docs", "tools", "benchmarks", "src", "tests", "conftest.py", "README.md", "SECURITY.md")


@dataclass(kw_only=True)
class Module:
    """What became of a module's changes, and those that survived by name."""

    counts: Counter[str] = field(default_factory=Counter)
    survived: dict[str, str] = field(default_factory=dict)


def main() -> int:
    """Run the groups named; the exit code is mutmut's own where it fails to run at all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="+", choices=sorted(GROUPS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--output", type=Path, help="JSON: counts by module, and the names of what survived")
    given = parser.parse_args()
    found: dict[str, dict[str, object]] = {}
    for group in given.groups:
        result = _run(group, given.jobs)
        found[group] = {
            name: {"counts": dict(module.counts), "survived": module.survived} for name, module in result.items()
        }
        sys.stdout.write(_table(group, result))
        sys.stdout.flush()
        if given.output:
            given.output.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _run(group: str, jobs: int) -> dict[str, Module]:
    modules, tests = GROUPS[group]
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        place = Path(folder)
        for name in COPIED:
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, place / name)
        (place / "pyproject.toml").write_text(_settings(modules, tests))
        command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(jobs)]
        subprocess.run(command, cwd=place, check=False, stdout=subprocess.DEVNULL)
        listed = subprocess.run(
            [sys.executable, "-m", "mutmut", "results", "--all", "true"],
            cwd=place, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        survivors = {name: _shown(place, name) for name, state in _states(listed) if state == "survived"}
    return _counted(listed, survivors)


def _settings(modules: tuple[str, ...], tests: tuple[str, ...]) -> str:
    """Return the project's settings with this group's section for mutmut."""
    text = re.sub(r"(?ms)^\[tool\.mutmut\].*?(?=^\[|\Z)", "", (ROOT / "pyproject.toml").read_text())
    tomllib.loads(text)
    arguments = ["-p", "no:cacheprovider", "-p", "no:benchmark", "-p", "no:qiltest", "-k"]
    arguments.append(" and ".join(f"not {name}" for name in LEFT_OUT))
    lines = [
        "[tool.mutmut]",
        'source_paths = ["src"]',
        f"only_mutate = {json.dumps([f'src/qiltest/{name}' for name in modules])}",
        f"also_copy = {json.dumps([name for name in COPIED if name not in {'src', 'tests'}])}",
        f"pytest_add_cli_args_test_selection = {json.dumps([f'tests/{name}' for name in tests])}",
        f"pytest_add_cli_args = {json.dumps(arguments)}",
    ]
    return text + "\n" + "\n".join(lines) + "\n"


def _states(listed: str) -> list[tuple[str, str]]:
    found = (re.fullmatch(r"\s*(\S+__mutmut_\d+): (.+)", line) for line in listed.splitlines())
    return [(match[1], match[2].strip()) for match in found if match]


def _shown(place: Path, name: str) -> str:
    command = [sys.executable, "-m", "mutmut", "show", name]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False).stdout


def _counted(listed: str, survivors: dict[str, str]) -> dict[str, Module]:
    found: dict[str, Module] = {}
    for name, state in _states(listed):
        module = found.setdefault(_module(name), Module())
        module.counts[state] += 1
        if name in survivors:
            module.survived[name] = survivors[name]
    return dict(sorted(found.items()))


def _module(name: str) -> str:
    return re.split(r"\.x_|\.xǁ", name)[0]


def _table(group: str, result: dict[str, Module]) -> str:
    lines = [f"\n{group}\n"]
    lines.extend(f"  {name:45} {_share(module.counts)}\n" for name, module in result.items())
    total: Counter[str] = sum((module.counts for module in result.values()), Counter())
    return "".join([*lines, f"  {'all':45} {_share(total)}\n"])


def _share(counts: Counter[str]) -> str:
    """Return the share killed; a change that never ends, or that ends the process, was noticed."""
    killed = sum(counts[state] for state in ("killed", "timeout", "segfault"))
    run = sum(counts.values()) - counts["skipped"] - counts["not checked"]
    return f"{killed:5} of {run:5} {100 * killed / max(1, run):5.1f} %  {dict(counts)}"


if __name__ == "__main__":
    sys.exit(main())
