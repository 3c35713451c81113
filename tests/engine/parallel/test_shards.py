"""Parts of a session for several runners: nothing twice, nothing left out, about equally long."""

import json
from dataclasses import asdict

import pytest

from builders import case, variant
from qiltest.engine.parallel.scheduler import estimated_seconds
from qiltest.engine.parallel.shards import part_of
from qiltest.recipe import Size
from qiltest.runs.history import SCHEMA, HistoryEntry, HistorySample
from qiltest.suite.selection import Task
from qiltest.suite.variants import ModelKind

VARIANTS = (
    variant("base", steps=50, true_cfg_scale=4.0, negative_prompt=" "),
    variant("8step", steps=8),
    variant("4step", steps=4),
)
CASES = [case(f"case-{number}", size=Size(1328, 1328)) for number in range(9)]
CASES.append(case("portrait", size=Size(704, 1280)))


def tasks(seeds=2):
    found = [
        Task(case=one, resolution=one.resolutions[0], variant=way, seed=seed, kind=ModelKind.REAL)
        for way in VARIANTS
        for one in CASES
        for seed in range(seeds)
    ]
    return {task.sample: task for task in found}


def seconds(part, given):
    return sum(
        estimated_seconds(nfe=given[one].variant.nfe, width=one.size.width, height=one.size.height) for one in part
    )


@pytest.mark.parametrize("of", [1, 2, 3, 5])
def test_the_parts_are_the_whole_and_take_about_equally_long(tmp_path, of):
    given = tasks()
    parts = [part_of(given, number, of, history=tmp_path / "none") for number in range(1, of + 1)]
    assert sorted(one.id for part in parts for one in part) == sorted(one.id for one in given)
    times = [seconds(part, given) for part in parts]
    # one image of the base model more or less
    assert max(times) - min(times) < 45


def test_a_history_of_every_kind_decides_and_one_that_lacks_some_does_not(tmp_path):
    given = tasks(seeds=1)
    path = tmp_path / "history.jsonl"
    # here the base model is as fast as the others: so it gets no more runners than they do
    samples = {
        one.id: HistorySample(variant=one.variant, status="PASS", distance=0, length=1, seconds=1.0) for one in given
    }

    def write(known):
        entry = HistoryEntry(schema=SCHEMA, run="r", started="2026", model="m", reader="r", samples=known)
        path.write_text(json.dumps(asdict(entry)) + "\n")

    write(samples)
    parts = [part_of(given, number, 3, history=path) for number in (1, 2, 3)]
    assert [len(part) for part in parts] == [10, 10, 10]
    assert [len({one.variant for one in part}) for part in parts] == [1, 1, 1]
    write(dict(list(samples.items())[1:]))
    assert part_of(given, 1, 3, history=path) == part_of(given, 1, 3, history=tmp_path / "none")


def test_there_may_be_more_parts_than_images(tmp_path):
    given = dict(list(tasks().items())[:2])
    assert sorted(len(part_of(given, number, 4, history=tmp_path)) for number in range(1, 5)) == [0, 0, 1, 1]
