"""`verify_run` on a part of a session that several runners share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import builders as make
from fake_runs import stored
from qiltest.engine.verify import verify_run
from qiltest.gate.golden import GoldenStore
from qiltest.runs.records import Shards


@pytest.mark.parametrize(
    ("numbers", "of", "said"),
    [
        ((2,), 3, "part 2/3 of a session (--qil-shard): 1/3, 3/3 is not in this run"),
        ((1, 2), 2, ""),
        ((1,), 1, ""),
    ],
)
def test_a_part_of_a_session_is_not_verified_without_the_others(
    fake: Callable[..., Any], case: Callable[..., Any], tmp_path: Path, numbers: tuple[int, ...], of: int, said: str
) -> None:
    built = fake(case("wall", "text"), name="built")
    built.add("wall", "4step", "text", golden=("text",))
    run = built.build()
    here, elsewhere = run.planned[0], make.sample(43, "wall", "4step", size=run.planned[0].size)
    run = replace(run, shards=Shards(numbers=numbers, of=of, whole=(here, elsewhere), full=False))
    folder = tmp_path / "stored" / stored(tmp_path / "stored", run)
    found = verify_run(folder, cases=run.cases, goldens=GoldenStore(root=tmp_path / "golden"))
    parts = [fault for fault in found.faults if "--qil-shard" in fault.what]
    assert [fault.what for fault in parts] == ([said] if said else [])
    assert all("report RUN+RUN --exit-code" in fault.remedy for fault in parts)
