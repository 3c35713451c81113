"""Hashes and inspections that are begun ahead are those that are made when asked for; errors wait for who asks."""

import shutil
import time
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from qiltest.errors import RecipeError
from qiltest.files import stamp
from qiltest.generation import ahead as module
from qiltest.generation.ahead import Ahead
from qiltest.generation.families import FAMILIES
from qiltest.generation.identity import parts_sha256
from qiltest.generation.sources import base_of, resolve_model
from qiltest.lora import inspect_lora
from qiltest.spans import Timeline
from qiltest.suite.variants import LoraSource, ModelKind

from .conftest import EIGHT, FOUR

COMPONENTS = FAMILIES[0].components


@pytest.fixture
def source(folder):
    return resolve_model(str(folder), kind=ModelKind.TINY)


@pytest.fixture
def ahead(source):
    one = Ahead(source)
    yield one
    one.close()


@pytest.fixture
def pool():
    """Threads in place of processes, in which tests see what is done."""
    with ThreadPoolExecutor(2) as threads:
        yield threads


@pytest.fixture
def inspected(monkeypatch):
    """The names of files that were inspected."""
    seen = []
    monkeypatch.setattr(
        module, "inspect_lora", lambda path, **more: (seen.append(path.name), inspect_lora(path, **more))[1]
    )
    return seen


@pytest.mark.parametrize("begun", [True, False])
def test_hashes_are_the_same_whether_they_were_begun_or_not(ahead, source, begun, pool):
    if begun:
        ahead.begin(pool)
    assert ahead.parts() == parts_sha256(source.folder, COMPONENTS)


def test_an_inspection_that_was_begun_is_made_once(ahead, source, inspected, folder, pool):
    ahead.begin(pool)
    ahead.inspect([EIGHT, FOUR, EIGHT])
    path = folder / "loras" / "8step.safetensors"
    report = ahead.inspection(path, stamp(path.stat()), base_of(source))
    assert report == inspect_lora(path, base=base_of(source))
    ahead.close()
    assert sorted(inspected) == ["4step.safetensors", "8step.safetensors"]


def test_nothing_is_inspected_ahead_where_nothing_was_begun(ahead, inspected):
    ahead.inspect([EIGHT])
    assert inspected == []


def test_a_file_that_changed_since_is_inspected_again(ahead, source, inspected, tmp_path, folder, pool):
    path = tmp_path / "own.safetensors"
    shutil.copy(folder / "loras" / "8step.safetensors", path)
    ahead.begin(pool)
    ahead.inspect([replace(EIGHT, loras=(("tiny", LoraSource(source=str(path))),))])
    shutil.copy(folder / "loras" / "4step.safetensors", path)
    report = ahead.inspection(path, stamp(path.stat()), base_of(source))
    assert report.sha256 == inspect_lora(path, base=base_of(source)).sha256
    assert inspected == ["own.safetensors", "own.safetensors"]


def test_a_broken_file_is_an_error_of_who_asks_for_it_and_a_missing_one_of_nobody(ahead, source, tmp_path, pool):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"no")
    ahead.begin(pool)
    ahead.inspect(
        [replace(EIGHT, loras=(("tiny", LoraSource(source=str(file))),)) for file in (path, tmp_path / "none")]
    )
    with pytest.raises(RecipeError, match="safetensors"):
        ahead.inspection(path, stamp(path.stat()), base_of(source))


def test_what_a_process_could_not_do_is_done_when_it_is_asked_for(ahead, source, folder):
    class Broken(ThreadPoolExecutor):
        def submit(self, *_args, **_more):
            coming = Future()
            coming.set_exception(BrokenExecutor("killed"))
            return coming

    ahead.begin(Broken(1))
    ahead.inspect([EIGHT])
    assert ahead.parts() == parts_sha256(source.folder, COMPONENTS)
    path = folder / "loras" / "8step.safetensors"
    assert ahead.inspection(path, stamp(path.stat()), base_of(source)) == inspect_lora(path, base=base_of(source))


@pytest.mark.slow
def test_in_processes_of_its_own_it_finds_the_same_and_tells_what_they_did(ahead, source, folder):
    timeline = Timeline()
    ahead.begin()
    ahead.inspect([EIGHT])
    assert ahead.parts() == parts_sha256(source.folder, COMPONENTS)
    path = folder / "loras" / "8step.safetensors"
    assert ahead.inspection(path, stamp(path.stat()), base_of(source)) == inspect_lora(path, base=base_of(source))
    seen = {one.name for one in timeline.take() if one.where == "ahead"}
    assert seen == {"hash model", "inspect LoRA"}


@pytest.mark.slow
def test_closing_does_not_wait_for_work_that_nobody_wants(ahead):
    ahead.begin()
    coming = ahead._pool.submit(time.sleep, 600)
    begin = time.monotonic()
    ahead.close()
    assert time.monotonic() - begin < 60
    assert coming.cancelled() or coming.exception() is not None


def test_once_closed_it_still_answers(ahead, source, pool):
    ahead.begin(pool)
    ahead.close()
    assert ahead.parts() == parts_sha256(source.folder, COMPONENTS)


def test_a_generator_builds_its_recipes_from_what_was_begun(source, fresh, generator, inspected, pool):
    from qiltest.generation import Settings, open_generator

    from .conftest import SIZE, case

    wanted = generator.recipe(case(), SIZE, EIGHT, 42).key()
    inspected.clear()
    begun = Ahead(source)
    begun.begin(pool)
    begun.inspect([EIGHT])
    one = open_generator(str(source.folder), Settings(), kind=ModelKind.TINY, ahead=begun)
    assert one.recipe(case(), SIZE, EIGHT, 42).key() == wanted
    assert inspected == ["8step.safetensors"]
    one.close()
