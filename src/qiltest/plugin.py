"""The pytest plugin: options, hooks and fixtures; what they do is in `qiltest.session`.

A test that asks for the fixture `qil_case_run` becomes one test an image: case x resolution x variant x seed.

    def test_report_case(qil_case_run):
        qil_case_run.check()

Every pytest session of an environment loads this module. So it declares its options from literals and imports nothing
that costs until a test asks for the fixture, or the command line for something of the suite.
"""

from __future__ import annotations

from collections.abc import Generator as Yields
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from qiltest import arguments

if TYPE_CHECKING:
    from qiltest.engine.readers import OpenReader
    from qiltest.generation.records import Generator
    from qiltest.session.case_run import CaseRun
    from qiltest.session.session import SuiteSession

_KEY: pytest.StashKey[SuiteSession] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--qil-…`. What is not given is None: so `pytest_configure` knows whether the suite is meant."""
    group = parser.getgroup("qiltest", "text in generated images (qiltest)")
    for flag, metavar, read, text in _VALUES:
        group.addoption(flag, metavar=metavar, type=read, help=text)
    for flag, metavar, text in _LISTS:
        group.addoption(flag, metavar=metavar, type=arguments.names, action="extend", help=text)
    for flag, choices, text in _CHOICES:
        group.addoption(flag, choices=choices, help=text)
    for flag, text in _SWITCHES:
        group.addoption(flag, action="store_true", default=None, help=text)


_VALUES = (
    (
        "--qil-model",
        "MODEL",
        str,
        "tiny, random, a Hugging Face id or a folder. Default: tiny; with -m gpu Qwen/Qwen-Image",
    ),
    (
        "--qil-device",
        "DEVICE",
        str,
        "device to generate on, such as cuda:1. Default: the CPU for tiny; with -m gpu the GPU",
    ),
    ("--qil-threads", "N", arguments.positive_int, "CPU threads of the model"),
    (
        "--qil-rounds",
        "N|auto",
        arguments.rounds,
        "timed denoise loops an image. Default: 1; with -m gpu auto, by what one costs",
    ),
    ("--qil-reader", "READER", str, "reader of all cases that name none. Default: rapidocr"),
    (
        "--qil-seeds",
        "N|LIST",
        arguments.seeds,
        "N seeds a case, beginning with its own, or a list such as 42,43 (one seed: `42,`)",
    ),
    ("--qil-cases", "FOLDER", str, "folder of case files and variants.toml. Default: cases"),
    ("--qil-golden", "FOLDER", str, "folder of goldens. Default: golden"),
    ("--qil-runs", "FOLDER", str, "folder of runs. Default: runs"),
    (
        "--qil-lora",
        "FILE",
        str,
        "may this LoRA file replace a variant? Generates both and ends with the paired verdict",
    ),
    ("--qil-like", "VARIANT", str, "the variant that --qil-lora is to replace: all but the LoRA is as in this one"),
    (
        "--qil-margin",
        "RATE",
        arguments.rate,
        "rise of the character error rate that --qil-lora takes for not worse. Default: 0.01",
    ),
)
_LISTS = (
    ("--qil-case", "ID[@WxH]", "this case alone; may be repeated, or several with commas"),
    ("--qil-variant", "NAME", "this variant alone; may be repeated, or several with commas; `all` for every one"),
    ("--qil-size", "WxH", "this resolution alone; may be repeated, or several with commas"),
)
_CHOICES = (
    ("--qil-offload", ("none", "model", "sequential"), "for a card that does not hold the model. Default: none"),
    (
        "--qil-update",
        ("missing", "changed", "all"),
        "write goldens: those that are missing, those that changed, or all. Refused where CI is set",
    ),
)
_SWITCHES = (
    ("--qil-fuse", "merge LoRAs into the base's weights while their variant is generated; a recipe of its own"),
    ("--qil-compile", "compile the transformer's repeated blocks; a recipe of its own"),
    ("--qil-allow-partial-lora", "take a LoRA that leaves a module out, or is zero, in some blocks and not in others"),
    ("--qil-fresh", "generate every image, also those of an unfinished run"),
    (
        "--qil-reuse",
        "take images of equal recipe from any run, with their latency and what the same reader read in them",
    ),
)


def pytest_configure(config: pytest.Config) -> None:
    """Add the markers; check what the command line asks of the suite."""
    config.addinivalue_line("markers", "report_case: generates an image of the suite, reads and judges it (qiltest)")
    config.addinivalue_line("markers", "gpu: needs a GPU; `-m gpu` runs the report cases on the real model (qiltest)")
    given = any(name.startswith("qil_") and value is not None for name, value in vars(config.option).items())
    if given or _asks_for_gpu(config.option.markexpr):
        session_of(config)


def _asks_for_gpu(expression: str) -> bool:
    if not expression:
        return False
    from qiltest.session.guards import asks_for_gpu

    return asks_for_gpu(expression)


def session_of(config: pytest.Config) -> SuiteSession:
    """Return the suite's state in a session; the first call imports the suite. Raises pytest.UsageError."""
    if _KEY not in config.stash:
        try:
            from qiltest.session.options import read_options
            from qiltest.session.session import SuiteSession
        except ImportError as error:
            raise pytest.UsageError(f"qiltest cannot be loaded: {error}\n  -> pip install --upgrade qiltest") from None
        config.stash[_KEY] = SuiteSession(config, read_options(config))
    return config.stash[_KEY]


def _begun(config: pytest.Config) -> SuiteSession | None:
    """Return the suite's state where a test or an option has asked for it."""
    return config.stash.get(_KEY, None)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize tests of the suite."""
    if "qil_case_run" not in metafunc.fixturenames:
        return
    try:
        session = session_of(metafunc.config)
    except pytest.UsageError as error:
        raise pytest.Collector.CollectError(str(error)) from None  # which has no traceback
    session.parametrize(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Yields[None, None, None]:
    """Order the tests of the suite, and refuse a selection that could only pass on nothing."""
    session = _begun(config)
    if session is not None:
        session.collected(items)
    yield
    if session is not None:
        session.order(items)
        session.selected(items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Take note of the tests that are left when every plugin has deselected."""
    if (suite_session := _begun(session.config)) is not None:
        suite_session.remaining(session.items)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Say what will be generated."""
    session = _begun(config)
    return [] if session is None else list(session.headline())


@pytest.fixture(scope="session")
def qil_generator(pytestconfig: pytest.Config) -> Iterator[Generator]:
    """Return the model that generates. Override it to generate with something else."""
    from qiltest.errors import QiltestError
    from qiltest.generation import Settings, open_generator

    session = session_of(pytestconfig)
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
    """Return one image of the suite, to be generated, read, scored and judged."""
    return session_of(request.config).case_run(request, qil_generator, qil_open_reader)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Yields[None, pytest.TestReport, pytest.TestReport]:
    """Record how a test of the suite ended."""
    report = yield
    if (session := _begun(item.config)) is not None:
        session.reported(item, report, None if call.excinfo is None else call.excinfo.value)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Close the run; a session that showed nothing does not end with 0."""
    if (suite_session := _begun(session.config)) is not None:
        stopped = bool(session.shouldstop or session.shouldfail)
        session.exitstatus = suite_session.finish(int(exitstatus), stopped=stopped)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table of case x variant, what is wrong, and where the report is."""
    session = _begun(config)
    if session is None or session.silent:
        return
    from qiltest.session.summary import summary_lines

    writer = terminalreporter._tw
    for line in summary_lines(session, width=writer.fullwidth, colour=writer.hasmarkup):
        terminalreporter.write_line(line)
