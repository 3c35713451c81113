"""The pytest plugin: options, hooks and fixtures; what they do is in `qiltest.session`.

A test that asks for the fixture `qil_case_run` becomes one test a picture: case x resolution x variant x seed.

    def test_report_case(qil_case_run):
        qil_case_run.check()
"""

from __future__ import annotations

from collections.abc import Generator as Yields
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from qiltest.errors import QiltestError

if TYPE_CHECKING:
    from qiltest.engine.context import OpenReader
    from qiltest.generation.records import Generator
    from qiltest.session import CaseRun, SuiteSession


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--qil-…`."""
    try:
        from qiltest.engine.options import add_options  # and with it readers' and metrics' libraries
    except ImportError as error:
        raise pytest.UsageError(f"qiltest cannot be loaded: {error}\n  -> pip install --upgrade qiltest") from error
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Check the options and make the session's state."""
    from qiltest.engine.options import read_options
    from qiltest.session import SuiteSession
    from qiltest.session.guards import asks_for_gpu
    from qiltest.session.progress import ProgressBar, open_terminal

    config.addinivalue_line("markers", "report_case: draws a picture of the suite, reads and judges it (qiltest)")
    config.addinivalue_line("markers", "gpu: needs a GPU; `-m gpu` runs the report cases on the real model (qiltest)")
    gpu = asks_for_gpu(config.option.markexpr)
    progress = ProgressBar(terminal=open_terminal(), column=partial(_column, config))
    config.stash[_KEY] = SuiteSession(config, read_options(config, gpu=gpu), progress)


_KEY: pytest.StashKey[SuiteSession] = pytest.StashKey()


def session_of(config: pytest.Config) -> SuiteSession:
    """Return the state that the plugin keeps for a session."""
    return config.stash[_KEY]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize tests of the suite."""
    from qiltest.session.session import FIXTURE

    if FIXTURE in metafunc.fixturenames:
        metafunc.config.stash[_KEY].parametrize(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Yields[None, None, None]:
    """Order the tests of the suite, and refuse a selection that could only pass on nothing."""
    session = config.stash[_KEY]
    session.collected(items)
    yield
    session.order(items)
    session.selected(items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Take note of the tests that are left when every plugin has deselected."""
    session.config.stash[_KEY].remaining(session.items)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Say what will be drawn."""
    return list(config.stash[_KEY].headline())


@pytest.fixture(scope="session")
def qil_generator(pytestconfig: pytest.Config) -> Iterator[Generator]:
    """Return the model that draws. Override it to draw with something else."""
    from qiltest.generation import Settings, open_generator

    session = pytestconfig.stash[_KEY]
    options = session.options
    try:
        settings = Settings(
            device=options.device,
            threads=options.threads,
            fuse=options.fuse,
            compiled=options.compiled,
            offload=options.offload,
            allow_partial_lora=options.allow_partial_lora,
            on_step=session.progress.step,
        )
        generator = open_generator(options.model, settings)
    except QiltestError as error:
        session.unusable(error)
    yield generator
    generator.close()


@pytest.fixture(scope="session")
def qil_open_reader() -> OpenReader:
    """Return what opens a reader by name. Override it to read with something else."""
    from qiltest.reading import open_reader

    return open_reader


@pytest.fixture
def qil_case_run(
    request: pytest.FixtureRequest,
    benchmark: object,
    qil_generator: Generator,
    qil_open_reader: OpenReader,
) -> CaseRun:
    """Return one picture of the suite, to be generated, read, scored and judged."""
    return request.config.stash[_KEY].case_run(request, qil_generator, qil_open_reader)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Yields[None, pytest.TestReport, pytest.TestReport]:
    """Record how a test of the suite ended."""
    report = yield
    error = None if call.excinfo is None else call.excinfo.value
    item.config.stash[_KEY].reported(item, report, error)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Close the run; a session that showed nothing does not end with 0."""
    suite_session = session.config.stash.get(_KEY, None)
    if suite_session is not None:
        stopped = bool(session.shouldstop or session.shouldfail)
        session.exitstatus = suite_session.finish(int(exitstatus), stopped=stopped)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table of case x variant, what is wrong, and where the report is."""
    session = config.stash[_KEY]
    if session.silent:
        return
    from qiltest.session.summary import summary_lines

    writer = terminalreporter._tw
    for line in summary_lines(session, width=writer.fullwidth, colour=writer.hasmarkup):
        terminalreporter.write_line(line)


def _column(config: pytest.Config) -> int:
    reporter = config.pluginmanager.getplugin("terminalreporter")
    return 0 if reporter is None else int(reporter._tw.width_of_current_line)
