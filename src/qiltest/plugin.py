"""The pytest plugin: options, hooks and fixtures, which delegate to `qiltest.session`.

A test with the fixture `qil_case_run` becomes one test per image: case x resolution x variant x seed.

    def test_report_case(qil_case_run):
        qil_case_run.check()

Every pytest session in the environment loads this module, so it imports nothing slow until a test uses the fixture or
the command line uses an option of the suite.
"""

from __future__ import annotations

import sys
from collections.abc import Generator as Yields
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qiltest import arguments

if TYPE_CHECKING:
    from qiltest.engine.readers import OpenReader
    from qiltest.generation.records import Generator
    from qiltest.session.case_run import CaseRun
    from qiltest.session.session import SuiteSession

#: the names under which pytest may load this module: of its entry point, and of `-p qiltest.plugin`.
_NAMES = frozenset({"qiltest", "qiltest.plugin"})
_KEY: pytest.StashKey[SuiteSession] = pytest.StashKey()
#: an option that cannot be used, or that excludes another one.
_WRONG: pytest.StashKey[pytest.UsageError] = pytest.StashKey()
_HELD: pytest.StashKey[frozenset[Path]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the `--qil-` options. Their default is None, so that `pytest_configure` knows whether one was given."""
    group = parser.getgroup("qiltest", "text in generated images (qiltest)")
    for flag, metavar, read, text in _VALUES:
        group.addoption(flag, metavar=metavar, type=read, help=text)
    for flag, metavar, text in _LISTS:
        group.addoption(flag, metavar=metavar, type=arguments.names, action="extend", help=text)
    for flag, metavar, text in _PAIRS:
        group.addoption(flag, metavar=metavar, action="append", help=text)
    for flag, choices, text in _CHOICES:
        group.addoption(flag, type=arguments.one_of(*choices), metavar=f"{{{','.join(choices)}}}", help=text)
    for flag, text in _SWITCHES:
        group.addoption(flag, action="store_true", default=None, help=text)


_VALUES = (
    (
        "--qil-model",
        "MODEL",
        str,
        "tiny, tiny-edit, random, Hugging Face id or folder. Default: tiny; with -m gpu Qwen/Qwen-Image",
    ),
    ("--qil-base", "ID", str, "base model that --qil-model is, such as Qwen/Qwen-Image-2512. Default: recognised"),
    ("--qil-device", "DEVICE", str, "torch device, such as cuda:1. Default: cpu for tiny; cuda with -m gpu"),
    ("--qil-threads", "N", arguments.positive_int, "CPU threads of the model"),
    (
        "--qil-rounds",
        "N|auto",
        arguments.rounds,
        "timed denoise loops per image; auto adapts to loop time. Default: 1; with -m gpu auto",
    ),
    (
        "--qil-workers",
        "N|all",
        arguments.workers,
        "generate in N processes, one GPU each; without a GPU one core each. Default: in this process",
    ),
    (
        "--qil-cluster",
        "ADDRESS|auto",
        str,
        "generate on the nodes of a Ray cluster that is up, one worker per GPU or --qil-workers; needs qiltest[ray]",
    ),
    (
        "--qil-readers",
        "K",
        arguments.positive_int,
        "read images in K processes while others are generated. Default: 1 beside a GPU or workers, on a CPU 1 for 4 "
        "workers",
    ),
    (
        "--qil-shard",
        "I/N",
        arguments.shard,
        "generate only part I of N, split by expected seconds; `qiltest report RUN+RUN` merges the parts",
    ),
    ("--qil-reader", "READER", str, "default OCR reader. Default: rapidocr"),
    ("--qil-seeds", "N|LIST", arguments.seeds, "number of seeds per case, or a list such as 42,43 (one seed: `42,`)"),
    (
        "--qil-expect",
        "N|all",
        arguments.expectation,
        "fail where fewer images were judged: than N, or than the options select. With -m gpu: than pytest selects",
    ),
    (
        "--qil-accept",
        "SHA256",
        arguments.image_hashes,
        "with --qil-update: fail where an image is not this one; the first 12 digits or more, several with commas",
    ),
    ("--qil-cases", "FOLDER", str, "folder of case files and variants.toml. Default: cases"),
    ("--qil-golden", "FOLDER", str, "folder of goldens. Default: golden"),
    ("--qil-runs", "FOLDER", str, "folder of runs. Default: runs"),
    ("--qil-images", "FOLDER", str, "judge images made elsewhere, named or listed as `qiltest plan` says"),
    (
        "--qil-images-from",
        "LABEL",
        str,
        "what made them, such as comfyui: goldens are kept under elsewhere/LABEL. Default: unnamed",
    ),
    ("--qil-server", "URL", str, "let this server make the images; its key is read from QILTEST_API_KEY"),
    (
        "--qil-server-concurrency",
        "N",
        arguments.positive_int,
        "requests in flight at once; latency gates with 1 alone. Default: 1",
    ),
    ("--qil-server-timeout", "SECONDS", arguments.seconds, "until a server's answer is whole. Default: 600"),
    ("--qil-lora", "FILE", str, "compare this LoRA with --qil-like and decide whether it may replace it"),
    (
        "--qil-like",
        "VARIANT",
        str,
        "variant to be replaced by --qil-lora; gives all settings except the LoRA",
    ),
    ("--qil-margin", "RATE", arguments.rate, "largest accepted rise of the error rate with --qil-lora. Default: 0.01"),
)
_LISTS = (
    ("--qil-case", "ID[@WxH]", "select a case; repeatable, or several separated by commas"),
    (
        "--qil-variant",
        "NAME",
        "select a variant or a group; repeatable, or several separated by commas; `all` for every variant",
    ),
    ("--qil-size", "WxH", "select a resolution; repeatable, or several separated by commas"),
)
_PAIRS = (
    (
        "--qil-server-says",
        "KEY=VALUE",
        "what is so of the server and no request can ask for: scheduler, lora, lora.VARIANT, device; repeatable",
    ),
)
_CHOICES = (
    (
        "--qil-server-api",
        ("vllm-omni", "sglang", "openai"),
        "dialect of --qil-server",
    ),
    (
        "--qil-offload",
        ("none", "model", "group", "sequential"),
        "keep weights on the CPU, if the GPU memory is too small; counts as a separate recipe. Default: none",
    ),
    (
        "--qil-merge",
        ("yes", "no"),
        "merge every LoRA into the base weights, or none. Default: as variants.toml says",
    ),
    ("--qil-update", ("missing", "changed", "all"), "write missing, changed or all goldens. Refused in CI"),
)
_SWITCHES = (
    ("--qil-fp8", "store the transformer's weights in float8, half the memory; counts as a separate recipe"),
    ("--qil-compile", "compile the transformer's repeated blocks; counts as a separate recipe"),
    ("--qil-report-latency", "report latencies, but fail no image by them (with -m gpu they gate)"),
    ("--qil-allow-partial-lora", "accept LoRAs that cover a module in only some blocks, or are zero in some"),
    ("--qil-rehash", "hash the files of models, LoRAs and readers again; remembered hashes are forgotten"),
    ("--qil-fresh", "generate every image, also those of an interrupted run"),
    ("--qil-reuse", "reuse images of equal recipe from any run, with their latency and OCR results"),
)


def pytest_plugin_registered(plugin: object, plugin_name: str, manager: pytest.PytestPluginManager) -> None:
    """Block the other name of this module, under which pytest would load it again and fail."""
    if plugin is sys.modules[__name__]:
        for other in _NAMES - {plugin_name}:
            manager.set_blocked(other)


def pytest_configure(config: pytest.Config) -> None:
    """Add the markers; check the options of the suite, if one is given."""
    config.addinivalue_line("markers", "report_case: generates, reads and judges an image (qiltest)")
    config.addinivalue_line("markers", "gpu: needs a GPU; `-m gpu` runs the report cases on the real model (qiltest)")
    given = any(name.startswith("qil_") and value is not None for name, value in vars(config.option).items())
    if not given and config.option.markexpr:
        from qiltest.session.guards import asks_for_gpu

        given = asks_for_gpu(config.option.markexpr)
    if given:
        try:
            session = session_of(config)
            apart = config.getoption("dist", "no") != "no" or hasattr(config, "workerinput")  # and refused by each test
            if not apart and not session.lists_only:
                session.generating.start()
        except pytest.UsageError:
            parallel = config.getoption("dist", "no") != "no" or hasattr(config, "workerinput")
            if parallel or _WRONG not in config.stash:
                raise  # now, and not once pytest-xdist has started its workers


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Refuse wrong options: now that the session has begun, its JUnit XML and the job's page tell it too."""
    if (error := session.config.stash.get(_WRONG, None)) is not None:
        raise error


def session_of(config: pytest.Config) -> SuiteSession:
    """Return the session's state; the first call imports the suite. Raises pytest.UsageError."""
    if _KEY not in config.stash:
        try:
            from qiltest.session.options import read_options
            from qiltest.session.session import SuiteSession
        except ImportError as error:
            raise pytest.UsageError(
                f"qiltest cannot be loaded: {error}\n  -> install it again, with what it needs"
            ) from None
        try:
            config.stash[_KEY] = SuiteSession(config, read_options(config))
        except pytest.UsageError as error:  # its message quotes options, and pytest prints it as it is
            from qiltest.text.escape import printable

            config.stash[_WRONG] = pytest.UsageError(printable(str(error)))
            raise config.stash[_WRONG] from None
    return config.stash[_KEY]


def _begun(config: pytest.Config) -> SuiteSession | None:
    """Return the session's state, None if no test or option uses the suite."""
    return config.stash.get(_KEY, None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Collect nothing in the suite's folders of runs and goldens: files in them may be from elsewhere."""
    if _HELD not in config.stash:
        config.stash[_HELD] = _held(config)
    held = config.stash[_HELD]
    return True if held and not held.isdisjoint((collection_path, *collection_path.parents)) else None


def _held(config: pytest.Config) -> frozenset[Path]:
    """Return the suite's folders of runs and goldens; in a project without a suite only those that are named."""
    here = config.invocation_params.dir
    homes = [home for home in (config.rootpath, here) if (home / "cases" / "variants.toml").is_file()]
    named = [name for name in (config.option.qil_runs, config.option.qil_golden) if name]
    folders = [*(here / name for name in named), *(home / name for home in homes for name in ("runs", "golden"))]
    return frozenset(path for folder in folders for path in (folder, folder.resolve()))


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
    """Order the suite's tests, and refuse a selection that could not test anything."""
    session = _begun(config)
    if session is not None:
        session.collected(items)
    yield
    if session is not None:
        session.order(items)
        session.selected(items)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Note which tests were deselected with a word; others that are gone count as missing."""
    if items and (session := _begun(items[0].config)) is not None:
        session.deselected(items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Store the tests that are left after every plugin's deselection."""
    if (suite_session := _begun(session.config)) is not None:
        suite_session.remaining(session.items)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Print what will be generated."""
    session = _begun(config)
    return [] if session is None else list(session.headline())


@pytest.fixture(scope="session")
def qil_generator(pytestconfig: pytest.Config) -> Iterator[Generator]:
    """Return the generator of images. Override it to use another one."""
    from qiltest.errors import QiltestError

    session = session_of(pytestconfig)
    if session.images is not None:
        yield session.images
        return
    try:
        generator = _open_generator(session)
    except QiltestError as error:
        session.unusable(error)
    yield generator
    generator.close()


def _open_generator(session: SuiteSession) -> Generator:
    """Open the model of the options, here or on a server. Raises QiltestError."""
    options = session.options
    if options.server is not None:
        from qiltest.serving.opening import open_served

        return open_served(options.server, options.model, options.model_base)
    return session.generating.open(session.progress.step)


@pytest.fixture(scope="session")
def qil_open_reader() -> OpenReader:
    """Return a function that opens a reader by name. Override it to use other readers."""
    from qiltest.reading import open_reader

    return open_reader


@pytest.fixture
def qil_case_run(
    request: pytest.FixtureRequest,
    benchmark: object,
    qil_generator: Generator,
    qil_open_reader: OpenReader,
) -> CaseRun:
    """Return one image of the suite, to generate, read, score and judge it."""
    return session_of(request.config).case_run(request, qil_generator, qil_open_reader)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Yields[None, pytest.TestReport, pytest.TestReport]:
    """Record the outcome of a suite's test."""
    report = yield
    if (session := _begun(item.config)) is not None:
        session.reported(item, report, None if call.excinfo is None else call.excinfo.value)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Close the run; a session that tested nothing does not end with 0."""
    if (suite_session := _begun(session.config)) is not None:
        stopped = bool(session.shouldstop or session.shouldfail)
        session.exitstatus = suite_session.finish(int(exitstatus), stopped=stopped)
    elif (error := session.config.stash.get(_WRONG, None)) is not None:
        from qiltest.session.refusals import add_junit_errors

        add_junit_errors(session.config, [str(error)])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give Ctrl+C back; tell the job's page what pytest's summary, which not every exit has, has not told it."""
    if (session := _begun(config)) is not None:
        session.interrupts.end()
        session.generating.stop()
        if session.untold:
            from qiltest.session.summary import job_lines

            reporter = config.pluginmanager.get_plugin("terminalreporter")
            for line in job_lines(session):
                if reporter is not None:
                    reporter.write_line(line)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table of case x variant, problems, and the paths of run and report."""
    session = _begun(config)
    if session is None and (error := config.stash.get(_WRONG, None)) is not None:
        from qiltest.session.refusals import job_lines

        for line in job_lines(str(error)):
            terminalreporter.write_line(line)
    if session is None or session.silent:
        if session is not None and session.stopped_early:
            from qiltest.session.refusals import STOPPED_EARLY

            terminalreporter.write_line(STOPPED_EARLY)
        return
    from qiltest.session.echo import told
    from qiltest.session.summary import summary_lines

    writer = terminalreporter._tw
    for line in summary_lines(session, width=writer.fullwidth, colour=writer.hasmarkup):
        terminalreporter.write_line(told(line))
