"""`--qil-model=random`: the table of speeds at the session's end, in the Markdown report and as JSON."""

import json

import pytest

from qiltest.cli.main import main
from qiltest.generation.random.operations import forward_operations, random_prompt_tokens
from qiltest.lora import qwen_image
from qiltest.recipe import Size

RATE = 800e12
RANDOM = """

class Random(StandinGenerator):
    judges_text = False

    def matrix_rate(self):
        return 800e12


@pytest.fixture(scope="session")
def qil_generator():
    return Random(model="random", device="cuda")
"""


@pytest.fixture
def random_suite(suite):
    path = suite.path / "conftest.py"
    path.write_text(path.read_text() + RANDOM)
    suite.plan(
        coffee__base={"seconds": 8.0}, poster__base={"seconds": 8.0},
        coffee__fast={"seconds": 1.0}, poster__fast={"seconds": 1.0},
    )  # fmt: skip
    return suite


def test_each_variant_has_a_row_with_its_speed_up_and_its_share_of_the_measured_rate(random_suite):
    result = random_suite.run("-m", "gpu", "--qil-model=random", "--qil-update=missing", "--qil-rounds=1")
    rows = {row["variant"]: row for row in json.loads((random_suite.latest().path / "speeds.json").read_text())["rows"]}
    fast, base = rows["fast"], rows["base"]
    assert (base["nfe"], base["images"], base["seconds"], base["speed_up"]) == (8, 2, 8.0, None)
    assert (fast["nfe"], fast["images"], fast["seconds"], fast["speed_up"]) == (2, 2, 1.0, 8.0)
    assert (base["seconds_a_forward"], fast["seconds_a_forward"]) == (1.0, 0.5)
    result.stdout.fnmatch_lines(
        ["| 1328x1328 | base | 8 | 2 | 8.00 |  | 1.0000 |*", "| 1328x1328 | fast | 2 | 2 | 1.00 | 8.0 x | 0.5000 |*"]
    )


def test_the_share_is_the_forwards_operations_over_seconds_and_the_measured_rate(random_suite):
    random_suite.run("-m", "gpu", "--qil-model=random", "--qil-case=coffee", "--qil-update=missing", "--qil-rounds=1")
    run = random_suite.latest()
    rows = {row["variant"]: row for row in json.loads((run.path / "speeds.json").read_text())["rows"]}
    recipe = run.result("coffee@1328x1328-base-s42").recipe
    tokens = [random_prompt_tokens(prompt, 512) for prompt in (recipe.prompt, " ")]
    operations = 4 * sum(forward_operations(qwen_image(), Size(1328, 1328), text_tokens=n) for n in tokens)
    assert rows["base"]["share"] == pytest.approx(operations / 8.0 / RATE)
    recipe = run.result("coffee@1328x1328-fast-s42").recipe
    operations = 2 * forward_operations(qwen_image(), Size(1328, 1328), text_tokens=tokens[0], lora_rank=4)
    assert recipe.lora.rank == 4
    assert rows["fast"]["share"] == pytest.approx(operations / 1.0 / RATE)


def test_the_markdown_report_has_the_table_and_a_model_that_writes_has_none(random_suite):
    random_suite.run("-m", "gpu", "--qil-model=random", "--qil-update=missing")
    page = (random_suite.latest().path / "report.md").read_text()
    assert page.count("## Speed") == 1
    assert "| 1328x1328 | fast | 2 |" in page
    path = random_suite.path / "conftest.py"
    path.write_text(path.read_text().replace("judges_text = False", "judges_text = True"))
    random_suite.run("--qil-update=all")
    assert not (random_suite.latest().path / "speeds.json").exists()


def _without_times(page):
    """Leave out where the time went: a session's own report is not written yet when it is written."""
    before, heading, after = page.partition("## Where the time went")
    assert heading
    return before + after[after.find("\n## ") :] if "\n## " in after else before


def test_the_verb_report_writes_the_table_too_and_refuses_a_damaged_one(random_suite, capsys):
    random_suite.run("-m", "gpu", "--qil-model=random", "--qil-update=missing")
    run = random_suite.latest()
    page = run.path / "report.md"
    before = _without_times(page.read_text())
    page.unlink()
    arguments = ["report", "latest", "--format=md", f"--runs={run.path.parent}"]
    for _ in range(2):
        assert main(arguments) == 0
        assert _without_times(page.read_text()) == before
    (run.path / "speeds.json").write_text('{"matrix_rate": 1, "rows": [{"size": "8x8"}]}')
    capsys.readouterr()
    assert main(arguments) == 2
    assert "the run's speeds cannot be read" in capsys.readouterr().err
