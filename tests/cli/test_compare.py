"""`qiltest compare`."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import builders as make
from qiltest.cli.main import main
from qiltest.reading import ReaderInfo
from qiltest.runs import RunState, RunStore
from qiltest.runs.events import Ended, Failed, Generated, Judged, Started
from qiltest.runs.lines import SCHEMA
from qiltest.suite.selection import Sample


def store(
    root: Path,
    distances: dict[str, list[int | None]],
    *,
    reader: ReaderInfo = make.READER,
    case: str = "coffee",
    cases: tuple[str, ...] = (),
    planned: int = 0,
    end: bool = True,
) -> str:
    """Store a run with an image a seed: edits by variant, None for one that failed. Returns its id."""
    names = cases or (case,)
    samples = {
        variant: [make.sample(seed, name, variant) for name in names for seed in range(max(planned, len(edits)))]
        for variant, edits in distances.items()
    }
    with RunStore(root=root).create() as writer:
        session = make.SESSION | {
            "reader": reader,
            "cases": tuple(make.case(name) for name in names),
            "variants": (make.variant(),),
            "planned": tuple(sample for of_variant in samples.values() for sample in of_variant),
        }
        writer.append(Started(schema=SCHEMA, run=writer.id, at=make.AT, **session))
        for name, edits in distances.items():
            for sample, distance in zip(samples[name], edits * len(names), strict=False):
                for event in events(sample, distance, reader, writer.put(f"{writer.id} {sample.id}".encode())):
                    writer.append(event)
        if end:
            writer.append(Ended(at=make.AT, state=RunState.FINISHED, exit_status=0))
        return writer.id


def events(
    sample: Sample, distance: int | None, reader: ReaderInfo, sha256: str
) -> tuple[Generated | Judged | Failed, ...]:
    at: dict[str, Any] = {"at": make.AT, "sample": sample}
    recipe = make.recipe(variant=sample.variant, seed=sample.seed)
    generated = Generated(
        **at,
        recipe=recipe,
        key=recipe.key(),
        sha256=sha256,
        timing=make.timing(0.1, steps=1),
        latents=make.LATENTS,
        cohort=make.cohort(variant=sample.variant),
    )
    if distance is None:
        return generated, Failed(**at, error="the reader returned no text")
    judged = Judged(
        **at,
        reading=make.reading(width=256, height=128, reader=reader),
        score=make.score(distance, reader=reader),
        judgement=make.judgement(distance=distance),
        latency=None,
        golden=None,
        golden_recorded=False,
    )
    return generated, judged


def compare(root: Path, *arguments: str) -> int:
    return main(["compare", *arguments, "--runs", str(root)])


def test_not_worse_is_0(tmp_path, capsys):
    before, after = store(tmp_path, {"4step": [0] * 40}), store(tmp_path, {"4step": [0] * 40})
    assert compare(tmp_path, before, after) == 0
    out = capsys.readouterr().out
    assert "SHIP: no worse (within the margin of 1 edit per 100 characters)\n" in out
    assert "Holm-corrected over 1 variant and 1 case; margin" in out
    assert "percentile bootstrap over 40 images: valid for these cases only" in out
    assert re.search(r"coffee .* 0 .* 40 .* 0 .* 0 -> 0 .* \+0\.00 .* 1", out)


def test_worse_is_1(tmp_path, capsys):
    before, after = store(tmp_path, {"4step": [0] * 6}), store(tmp_path, {"4step": [1] * 6})
    assert compare(tmp_path, before, after) == 1
    out = capsys.readouterr().out
    assert "DO NOT SHIP   exact text: 6 images lost it and 0 gained it, p = 0.031" in out
    assert "DO NOT SHIP: worse\n" in out


def test_what_nobody_can_tell_is_1_and_says_how_many_seeds_would(tmp_path, capsys):
    before, after = store(tmp_path, {"4step": [0] * 5}), store(tmp_path, {"4step": [1] * 5})
    assert compare(tmp_path, before, after) == 1
    out = capsys.readouterr().out
    assert "\nwith 5 seeds; about 6 seeds should be enough if the rest look like these" in out
    assert "CANNOT TELL: not enough evidence yet: more seeds are needed\n" in out


def test_the_margin_is_asked_for_and_stated(tmp_path, capsys):
    before, after = store(tmp_path, {"4step": [1] * 40}), store(tmp_path, {"4step": [2] * 40})
    assert compare(tmp_path, before, after, "--margin", "0.25") == 1
    assert "p = 1.8e-12 (sign test, Holm-corrected over 1 test)" in capsys.readouterr().out
    some = store(tmp_path, {"4step": [2, *[1] * 39]})
    assert compare(tmp_path, before, some, "--margin", "0.25") == 0
    assert "margin 25.00 edits per 100 characters" in capsys.readouterr().out
    assert compare(tmp_path, before, some, "--margin", "0") == 1


def test_two_variants_of_a_run(tmp_path, capsys):
    run = store(tmp_path, {"8step": [0] * 40, "4step": [3] * 40})
    assert compare(tmp_path, run, "--variant", "8step", "--with", "4step") == 1
    assert "8step -> 4step" in capsys.readouterr().out
    assert compare(tmp_path, run, run, "--variant", "4step", "--with", "8step") == 0
    assert "exact text: 0 in both, 0 lost, 40 gained, 0 in neither" in capsys.readouterr().out


def test_the_page_is_opened_where_one_is_written(tmp_path, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("qiltest.cli.compare.open_page", opened.append)
    monkeypatch.setattr("qiltest.report.comparison.page.write_page", lambda *_, **__: None)
    run, page = store(tmp_path, {"8step": [0] * 8, "4step": [0] * 8}), tmp_path / "page.html"
    assert compare(tmp_path, run, "--variant", "8step", "--with", "4step", "--open") == 2
    assert "give both: --report page.html --open" in capsys.readouterr().err
    compare(tmp_path, run, "--variant", "8step", "--with", "4step", "--report", str(page), "--open")
    assert opened == [page]


def test_several_runs_joined_count_as_one(tmp_path, capsys):
    first, other = store(tmp_path, {"4step": [0] * 30}), store(tmp_path, {"4step": [0] * 30}, case="tea")
    after = store(tmp_path, {"4step": [0] * 30}, cases=("coffee", "tea"))
    assert compare(tmp_path, f"{first}+{other}", after) == 0
    out = capsys.readouterr().out
    assert f"4step of run {first}+{other} -> 4step" in out
    assert "60 in both" in out
    assert compare(tmp_path, after, first) == 1


def test_json_says_it_all_in_finite_numbers(tmp_path, capsys):
    before = store(tmp_path, {"4step": [0] * 7, "8step": [0] * 7})
    after = store(tmp_path, {"4step": [1] * 6, "8step": [0] * 6})
    assert compare(tmp_path, before, after, "--json") == 1

    def refuse(name: str) -> float:
        raise AssertionError(name)

    said = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert (said["before"], said["after"]) == (before, after)
    assert (said["verdict"], said["passes"], said["margin"]) == ("CANNOT TELL", False, 0.01)
    assert said["comparisons_made"] == {"variants": 2, "cases": 2, "strokes": 0}
    first = said["comparisons"][0]
    assert first["exact"] == {"both": 0, "broken": 6, "fixed": 0, "neither": 0, "p": 0.03125, "p_holm": 0.0625}
    assert (first["pairs"], first["losses"], first["difference"]) == (6, 6, 0.1)
    assert first["unpaired"] == [f"coffee@256x128-s6: only in run {before}, variant 4step"]


def test_other_readers_and_failed_images_are_1_and_named(tmp_path, capsys):
    before = store(tmp_path, {"4step": [0] * 8})
    assert compare(tmp_path, before, store(tmp_path, {"4step": [0] * 8}, reader=make.unlike())) == 1
    out = capsys.readouterr().out
    assert "INCOMPARABLE coffee@256x128-s0: read by rapidocr-1-" in out
    assert "INCOMPARABLE: the two sides are not comparable" in out
    assert compare(tmp_path, before, store(tmp_path, {"4step": [0] * 7 + [None]})) == 1
    out = capsys.readouterr().out
    assert "ERROR coffee@256x128-s7: after: the reader returned no text" in out
    assert "ERROR: an image to be compared has no score" in out


def test_a_run_that_was_killed_does_not_ship_on_what_it_drew(tmp_path, capsys):
    before = store(tmp_path, {"4step": [0] * 40})
    after = store(tmp_path, {"4step": [0] * 39}, planned=40, end=False)
    assert compare(tmp_path, before, after) == 1
    out = capsys.readouterr().out
    assert f"run {after} is unfinished: 39 of 40 images begun" in out
    assert "MISSING coffee@256x128-s39: after: planned, but not generated" in out
    assert "MISSING: an image to be compared is missing" in out


def test_a_case_that_vanished_does_not_ship_unless_it_is_left_out_on_purpose(tmp_path, capsys):
    first, second = store(tmp_path, {"4step": [0] * 40}), store(tmp_path, {"4step": [0] * 40}, cases=("coffee", "tea"))
    assert compare(tmp_path, second, first) == 1
    out = capsys.readouterr().out
    assert "MISSING tea@256x128-s0: after: not planned" in out
    assert compare(tmp_path, second, first, "--case", "coffee") == 0
    assert compare(tmp_path, first, second) == 0
    assert compare(tmp_path, second, first, "--case", "cofee") == 2
    assert "no image of case 'cofee'" in capsys.readouterr().err


def test_runs_without_a_common_image_are_incomparable(tmp_path, capsys):
    before, after = store(tmp_path, {"4step": [0]}), store(tmp_path, {"4step": [0]}, case="tea")
    assert compare(tmp_path, before, after) == 1
    out = capsys.readouterr().out
    assert f"unpaired coffee@256x128-s0: only in run {before}, variant 4step" in out
    assert "nothing was compared" in out


def test_what_a_run_holds_is_shown_and_not_obeyed(tmp_path, capsys):
    before = store(tmp_path, {"4step": [0]})
    after = store(tmp_path, {"4step": [0]}, reader=replace(make.READER, name="[red]tea\x1b[2J"))
    compare(tmp_path, before, after)
    out = capsys.readouterr().out
    assert "[red]tea" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("RUN",), "only one run given"),
        (("RUN", "RUN"), "would be compared with itself"),
        (("RUN", "--with", "4step"), "--with needs --variant"),
        (("RUN", "--variant", "base", "--with", "4step"), "no variant 'base'"),
        (("RUN", "nobody"), "no run 'nobody'"),
    ],
)
def test_used_wrongly_is_2_and_says_what_to_do(tmp_path, capsys, arguments, message):
    run = store(tmp_path, {"4step": [0]})
    assert compare(tmp_path, *(run if word == "RUN" else word for word in arguments)) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "  -> " in err


@pytest.mark.parametrize("margin", ["nan", "-1", "1", "much"])
def test_a_margin_that_is_no_rate_is_2(tmp_path, capsys, margin):
    with pytest.raises(SystemExit) as stop:
        compare(tmp_path, "a", "b", "--margin", margin)
    assert stop.value.code == 2
    assert "--margin" in capsys.readouterr().err


def test_the_help_names_the_exit_codes(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["compare", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert "--json" in out
    assert "Exit code 0:" in out
