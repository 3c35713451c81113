"""A pytest session inside a command: `qiltest check` draws as `pytest --qil-lora` does, to the letter."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from qiltest.session.session import SuiteSession

_SUITE = Path(__file__).with_name("check_suite.py")
#: the plugins that the suite needs; what else is installed has no say in a verdict.
_PLUGINS = ("qiltest", "benchmark", "timeout")
_ENVIRONMENT = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
#: what an outer session, or a user for sessions of their own, may have set.
_FOREIGN = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT")


@dataclass(frozen=True, kw_only=True)
class Inner:
    """How a session inside a command went."""

    #: pytest's exit code.
    code: int
    #: what it wrote.
    output: str
    #: None where it did not get as far as its options.
    session: SuiteSession | None


@dataclass(kw_only=True)
class _Holder:
    """Keeps the session of the inner pytest."""

    found: list[SuiteSession] = field(default_factory=list)

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        from qiltest.plugin import session_of

        self.found.append(session_of(config))


def run_suite(arguments: Sequence[str]) -> Inner:
    """Run the suite of `qiltest check` with these `--qil-…` options, whatever pytest is configured to here.

    Nothing is written to standard output or standard error; a progress bar goes to the terminal where there is one.
    """
    holder, output = _Holder(), StringIO()
    plugins = [word for name in _PLUGINS for word in ("-p", name)]
    command = [
        "-c",
        os.devnull,
        f"--rootdir={Path.cwd()}",
        "-p",
        "no:cacheprovider",
        *plugins,
        "-q",
        *arguments,
        str(_SUITE),
    ]
    # pytest-benchmark makes a folder for results that nobody asked to keep
    with TemporaryDirectory() as scrap, _environment(), redirect_stdout(output), redirect_stderr(output):
        code = pytest.main([*command, f"--benchmark-storage=file://{scrap}"], plugins=[holder])
    return Inner(code=int(code), output=output.getvalue(), session=holder.found[0] if holder.found else None)


@contextmanager
def _environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in (*_ENVIRONMENT, *_FOREIGN)}
    for name in _FOREIGN:
        os.environ.pop(name, None)
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
