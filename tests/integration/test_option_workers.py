"""`--qil-workers`: the same session as in one process, whoever generates and whatever happens to them."""

import os
import signal
import sys
import time
import xml.etree.ElementTree as ET  # reads only what pytest wrote here
from fnmatch import fnmatch
from functools import partial

import pytest

import apart
import qiltest.engine.parallel.opening as opening
import qiltest.engine.parallel.pool as pool
from fake_generator import FakeGenerator
from fake_workers import Fakes
from qiltest.gate import Verdict
from qiltest.runs import RunState
from standin_workers import OWN_WORKERS

IDS = [f"{case}@1328x1328-{variant}-s42" for variant in ("base", "fast") for case in ("coffee", "poster")]
IMAGES = [f"{case} {variant} 42" for case in ("coffee", "poster") for variant in ("base", "fast")]


@pytest.fixture
def fakes(suite, monkeypatch):
    """The suite, whose plugin opens the stand-in model in workers; what they were asked."""
    path = suite.path / "conftest.py"
    own = '@pytest.fixture(scope="session")\ndef qil_generator('
    path.write_text(path.read_text().replace(own, "def standin_generator("))
    texts = {}

    def opened():
        generator = sys.modules["conftest"].StandinGenerator()
        generator.texts = texts  # recipes are built by another worker
        return generator

    found = Fakes(opened)
    monkeypatch.setattr(opening, "start_process", found)
    monkeypatch.setattr(opening, "cores", lambda: (0, 1, 2, 3))
    # in one process, for comparison
    monkeypatch.setattr("qiltest.generation.open_generator", lambda model, settings: opened())
    return found


def found_in(run):
    """What must be equal to one process."""
    return [
        (result.id, result.image.sha256, result.recipe.key(), result.verdict, result.score.distance, result.cohort)
        for result in run.results
    ]


def junit_of(suite):
    return [
        (case.get("name"), [(p.get("name"), p.get("value")) for p in case.iter("property")], [one.tag for one in case])
        for case in ET.parse(suite.path / "junit.xml").getroot().iter("testcase")
    ]


def without_paths(found):
    return [
        (name, [pair for pair in pairs if not pair[0].endswith(("image", "report"))], tags)
        for name, pairs, tags in found
    ]


def test_images_verdicts_goldens_and_junit_are_those_of_one_process(suite, fakes):
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwen Cofee"}, "wait": 0.05}, poster__base={"wait": 0.05})
    assert suite.run("--qil-update=missing", "--junitxml=junit.xml").ret == 0
    alone, junit = found_in(suite.latest()), junit_of(suite)
    goldens = {name: (suite.path / "golden" / name).read_bytes() for name in suite.goldens()}
    for name in goldens:
        (suite.path / "golden" / name).unlink()
    result = suite.run("--qil-update=missing", "--junitxml=junit.xml", "--qil-workers=2")
    assert result.ret == 0
    result.assert_outcomes(passed=4)
    assert found_in(suite.latest()) == alone
    assert {name: (suite.path / "golden" / name).read_bytes() for name in suite.goldens()} == goldens
    assert without_paths(junit_of(suite)) == without_paths(junit)
    drawn = [result.made_on.worker for result in suite.latest().results]
    assert set(drawn) == {1, 2}
    result.stdout.fnmatch_lines(
        [f"qiltest: worker {number} on *: {drawn.count(number)} image*" for number in (1, 2)],
    )
    assert fakes.calls.count((1, "hello")) == fakes.calls.count((2, "hello")) == 1


def test_a_failing_image_fails_its_own_test(suite, fakes):
    suite.record()
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwen Cofee"}}, poster__base={"fault": "nan"})
    suite.run("--qil-workers=2").assert_outcomes(passed=2, failed=2)
    assert [suite.latest().result(one).verdict for one in IDS] == [
        Verdict.PASS,
        Verdict.ERROR,
        Verdict.FAIL,
        Verdict.PASS,
    ]
    assert "NaN" in suite.latest().result(IDS[1]).error


def test_an_image_that_was_generated_twice_is_an_error_and_the_others_pass(suite, fakes):
    suite.record()
    fakes.faults = {(1, "make", 1): "die", (1, "make", 2): "die"}
    result = suite.run("--qil-workers=1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        ["*generated twice without an image: worker 1 died over it (killed by SIGSEGV)*", "*-> *generate it alone*"]
    )
    result.stdout.fnmatch_lines(["qiltest: worker 1 died (killed by SIGSEGV) and was replaced"])


def test_an_image_that_was_generated_again_says_so_in_its_notes(suite, fakes):
    suite.record()
    fakes.faults = {(1, "make", 2): "die"}
    assert suite.run("--qil-workers=1").ret == 0
    notes = [note for result in suite.latest().results for note in result.notes]
    assert notes == ["worker 1 died over it (killed by SIGSEGV); generated again"]


def test_a_worker_that_hangs_is_ended_and_its_image_says_so(suite, fakes, monkeypatch):
    suite.record()
    monkeypatch.setattr(pool, "Limits", partial(pool.Limits, image=0.5, more=0.5))
    fakes.faults = {(1, "make", 1): "hang", (1, "make", 2): "hang"}
    result = suite.run("--qil-workers=1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*it had no image after *s, and was ended*", "*-> *generate it alone*"])


def test_a_session_without_a_worker_ends_and_the_same_command_goes_on(suite, fakes):
    suite.record()
    fakes.faults = {(1, "make", nth): "die" for nth in (3, 4, 5)}
    result = suite.run("--qil-workers=1", "--junitxml=junit.xml")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*no worker is left: worker 1 died (killed by SIGSEGV)*", "*repeat the command*"])
    assert suite.latest().state is RunState.INTERRUPTED
    begun = suite.generated()
    fakes.faults = {}
    assert suite.run("--qil-workers=1").ret == 0
    again = suite.generated()
    assert len(begun) == 2
    # the image that was on its way when its worker died is generated again, if there was one
    assert sorted({*begun, *again}) == IMAGES
    assert len(again) in (2, 3)


def test_a_worker_in_other_surroundings_ends_the_session_and_the_field_is_named(suite, fakes):
    suite.record()
    suite.plan(**{one: {"wait": 0.3} for one in ("coffee__base", "poster__base", "coffee__fast")})
    fakes.surroundings = {2: {"torch": "2.11.0"}}
    result = suite.run("--qil-workers=2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*worker 2 on * is not as worker 1: torch 2.11.0 instead of 2.14.1*"])
    assert (2, "make") not in fakes.calls


def test_workers_that_a_conftest_overrides_are_refused(suite, monkeypatch):
    suite.record()
    monkeypatch.setattr(opening, "start_process", Fakes(FakeGenerator))
    result = suite.run("--qil-workers=1")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*--qil-workers generates with the suite's own generator, but a conftest overrides*"])


def test_a_cluster_without_ray_fails_every_test_with_the_remedy(suite, fakes, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "qiltest.engine.parallel.ray_cluster", raising=False)
    result = suite.run("--qil-cluster=auto")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines(["*--qil-cluster needs Ray*", "*-> install qiltest with its extra*'.[[]ray]'*"])
    assert fakes.started == []


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--qil-workers=5",), "*5 workers of 1 thread, but 4 cores*"),
        (("--qil-workers=3", "--qil-threads=2"), "*3 workers of 2 threads, but 4 cores*"),
        (("--qil-workers=2", "--qil-device=cuda:1"), "*--qil-workers and --qil-device=cuda:1 exclude each other*"),
        (("--qil-workers=0",), "*0 is too small; the least is 1*"),
    ],
)
def test_more_workers_than_there_is_room_for_are_refused(suite, fakes, args, told):
    result = suite.run(*args)
    assert result.ret != 0
    assert any(fnmatch(line, told) for line in (*result.outlines, *result.errlines))
    assert fakes.started == []


def test_all_is_one_for_each_core_and_a_listing_starts_none(suite, fakes):
    suite.run("--qil-workers=all", "--collect-only")
    assert fakes.started == []
    suite.run("--qil-workers=all")
    assert [worker.place.cores for worker in fakes.started] == [(0,), (1,), (2,), (3,)]


def test_what_workers_made_ahead_of_a_session_that_stopped_is_not_generated_again(suite, fakes):
    suite.record()
    suite.plan(coffee__base={"typos": {"Qwen Coffee": "Qwen Cofee"}})
    suite.run("-x", "--qil-workers=1").assert_outcomes(failed=1)
    before = suite.generated()
    suite.plan()
    suite.run("--qil-workers=1")
    after = suite.generated()
    # at most what was in hand is begun twice
    assert 4 <= len(before) + len(after) <= 5


def gone(pid):
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def begun(suite):
    """Start a session of its own, whose workers are processes, and wait until both are in images that take a minute."""
    suite.record()
    path = suite.path / "conftest.py"
    own = '@pytest.fixture(scope="session")\ndef qil_generator('
    path.write_text(path.read_text().replace(own, "def standin_generator(") + OWN_WORKERS)
    words = ["-q", "--qil-workers=2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    # where one worker is up late, both may take these images before all others are made
    stored = set()

    def start():
        child = apart.pytest_apart(words, suite.path, env=environment)
        for _ in range(600):
            log = suite.path / "generated.log"
            if log.exists() and log.read_text().count("fast") == 2:
                break
            time.sleep(0.05)
        time.sleep(0.3)  # the last image but these two is stored
        stored.update(name for name in IMAGES if "base" in name and name in log.read_text())
        return child

    suite.plan(coffee__fast={"wait": 60}, poster__fast={"wait": 60})
    yield start
    for pid in map(int, (suite.path / "pids").read_text().split()):
        assert gone(pid)
    suite.plan()
    again = apart.run_pytest(words, suite.path, env=environment)
    assert again.ret == 0, again.stdout.str()
    assert stored
    assert f"reused {len(stored)} image" in again.stdout.str()
    assert sorted(suite.generated()) == sorted(set(IMAGES) - stored)


@pytest.mark.slow  # sessions of their own, killed
def test_after_a_killed_session_the_same_command_generates_what_was_in_hand_again_and_nothing_else(suite, begun):
    child = begun()
    child.kill()
    child.wait()
    assert {"coffee fast 42", "poster fast 42"} < set(suite.generated()) <= set(IMAGES)


@pytest.mark.slow
def test_ctrl_c_while_workers_generate_ends_the_session_at_once(suite, begun):
    child = begun()
    begin = time.monotonic()
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=30) == pytest.ExitCode.INTERRUPTED
    assert time.monotonic() - begin < 15
    assert child.said().count("qiltest: run interrupted: repeat the command to resume") == 1
    assert {"coffee fast 42", "poster fast 42"} < set(suite.generated()) <= set(IMAGES)


def test_with_readers_the_next_image_is_begun_on_a_cpu_too(suite):
    suite.record()
    suite.plan(coffee__base={"typos": {"Qwen Coffee": "Qwen Cofee"}})
    suite.run("-x", "--qil-readers=2").assert_outcomes(failed=1)
    assert suite.generated() == ["coffee base 42", "poster base 42"]
