"""The pages: links lead somewhere, paths exist, commands parse, keys and names are those of the code."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from PIL import Image

import qiltest
from qiltest.cli.main import build_parser, main
from qiltest.suite import case_schema, variant_schema
from qiltest.suite.load import load_suite

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", ".github/**/*.md", "tools/**/*.md", "src/**/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
#: a path of the repository, as pages write one: in backticks, or as what a command runs.
PATH = re.compile(r"(?<![\w./-])((?:benchmarks|tools|tests|src|cases|docs)/[\w./*<>-]*[\w*/>])")
OPTION = re.compile(r"--[a-z][a-z0-9-]+")


def names(paths):
    return [path.relative_to(ROOT).as_posix() for path in paths]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def without_code(text):
    return re.sub(r"`[^`]*`", "", re.sub(r"^```.*?^```|^    .*?$", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(text):
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_relative_link_leads_somewhere(page):
    dead = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_path_of_the_repository_that_a_page_names_exists(page):
    named = {path for path in PATH.findall(page.read_text(encoding="utf-8")) if "<" not in path}
    made_by_hand = {
        "cases/summer-sale.toml",
        "cases/edit/shop-sign.toml",
        "cases/edit/inputs/",
        "cases/ID.toml",
        "cases/hello-world.toml",
        "cases/edit/menu.toml",
        "tests/report_cases/conftest.py",
    }
    places = (ROOT, ROOT / "src/qiltest", page.parent)
    assert [path for path in sorted(named - made_by_hand) if not any(list(at.glob(path)) for at in places)] == []


def test_every_page_that_code_names_exists():
    folders = (ROOT / name for name in ("src", "tests", "tools", "benchmarks", "cases"))
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in {".py", ".toml", ".json"}]
    named = {page for path in files for page in re.findall(r"\bdocs/[\w/-]+\.md", path.read_text("utf-8"))}
    assert len(named) > 4
    assert sorted(page for page in named if not (ROOT / page).is_file()) == []


def commands(text):
    """The commands of a page's code blocks, each as its words."""
    lines = [line.strip() for line in re.findall(r"^    (.+)$", text, re.MULTILINE)]
    parts = (part for line in lines for part in re.split(r"\s+#\s.*$|&&", line))
    return [shlex.split(part.strip().strip("()")) for part in parts if part.strip()]


README = commands(read("README.md"))


def test_the_readme_has_commands():
    programs = [words[0] for words in README]
    assert {"make", ".", "qiltest", "pytest"} <= set(programs)


@pytest.mark.parametrize("words", [words for words in README if words[0] == "qiltest"], ids=" ".join)
def test_a_qiltest_command_of_the_readme_parses(words):
    assert callable(build_parser(words[1]).parse_args(words[1:]).handler)


@pytest.mark.parametrize("words", [words for words in README if words[0] == "make"], ids=" ".join)
def test_a_make_command_of_the_readme_has_its_target(words):
    assert re.search(rf"^{words[1]}:", read("Makefile"), re.MULTILINE)


@pytest.fixture(scope="module")
def known_to_pytest():
    import subprocess
    import sys

    shown = subprocess.run([sys.executable, "-m", "pytest", "--help"], cwd=ROOT, check=True, capture_output=True)
    return set(re.findall(r"--[a-z][a-z0-9-]+", shown.stdout.decode()))


def test_every_pytest_option_of_the_pages_exists(known_to_pytest):
    named = set()
    for page in PAGES:
        lines = re.findall(r"^.*\bpytest (?:tests/\S+ )?-.*$", page.read_text(encoding="utf-8"), re.MULTILINE)
        named |= {option for line in lines for option in OPTION.findall(line.partition("#")[0])}
    assert len(named) > 8
    assert {option for option in named if option.startswith("--qil-")} <= known_to_pytest


def test_the_commands_page_names_every_option_of_the_plugin_and_no_other(known_to_pytest):
    named = set(re.findall(r"--qil-[a-z0-9-]+", read("docs/reference/commands.md")))
    assert named == {option for option in known_to_pytest if option.startswith("--qil-")}


def test_the_commands_page_names_every_command_and_no_other():
    (parsers,) = (action for action in build_parser()._actions if isinstance(action.choices, dict))
    rows = re.findall(
        r"^\| `qiltest ([a-z]+)\b", read("docs/reference/commands.md").partition("## Exit codes")[0], re.M
    )
    assert sorted(rows) == sorted(parsers.choices)


def test_every_refusal_that_the_runners_page_explains_is_a_message_of_the_code():
    page = read("docs/guide/runner.md").partition("## What a refusal means")[2]
    rows = re.findall(r"^\| (`.+?`) \| ", page, re.MULTILINE)
    shown = [part.strip() for row in rows for line in re.findall(r"`([^`]+)`", row) for part in line.split("…")]
    code = "".join(path.read_text("utf-8") for path in (ROOT / "src/qiltest").rglob("*.py"))
    assert len(rows) > 10
    assert [part for part in shown if part and part not in code] == []


def keys(page, heading):
    """The keys in the first column of the table below a heading."""
    part = re.split(r"^#+ ", page.partition(heading)[2], maxsplit=1, flags=re.MULTILINE)[0]
    return set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "table"),
    [
        ("## A case", case_schema.CaseTable),
        ("### `[[texts]]`", case_schema.TextTable),
        ("### `[[inputs]]`", case_schema.InputTable),
        ("### `[rest]`", case_schema.RestTable),
        ("### `[[resolutions]]`", case_schema.ResolutionTable),
        ("### `[limits]`", case_schema.LimitsTable),
        ("## Variants", variant_schema.VariantTable),
        ("### `[NAME.loras.real]`", variant_schema.LoraTable),
    ],
)
def test_the_page_of_keys_has_every_key_and_no_other(heading, table):
    assert keys(read("docs/reference/case-and-variant-keys.md"), heading) == set(table.model_fields)


def test_the_public_names_are_those_of_the_page():
    rows = re.findall(r"^\| (`.+?`) \| ", read("docs/reference/public-api.md"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(qiltest.__all__)
    assert all(getattr(qiltest, name) is not None for name in named)


def test_the_reader_of_the_public_page_reads_an_image(tmp_path, monkeypatch):
    (snippet,) = re.findall(r"^```python\n(.*?)^```", read("docs/reference/public-api.md"), re.DOTALL | re.MULTILINE)
    Image.new("RGB", (64, 64), "white").save(tmp_path / "image.png")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(snippet, names)
    assert (names["reading"].width, names["reading"].height, names["reading"].lines) == (64, 64, ())


def test_the_score_row_of_the_page_on_json_has_the_keys_of_the_output(tmp_path, capsys):
    Image.new("RGB", (64, 64), "white").save(tmp_path / "image.png")
    main(["score", str(tmp_path / "image.png"), "--expect", "Hi", "--json"])
    said = json.loads(capsys.readouterr().out)
    (row,) = re.findall(r"^\| `qiltest score` \| `\{(.+?)\}`", read("docs/reference/json.md"), re.MULTILINE)
    (text,) = re.findall(r"texts: \[\{(.+?)\}\]", row)
    top = re.sub(r": \[.+?\]", "", row)
    assert set(top.split(", ")) | {"error"} == set(said)
    assert set(text.split(", ")) == set(said["texts"][0])


@pytest.mark.parametrize("page", ["README.md", "docs/guide/own-case.md"])
def test_the_case_that_a_page_shows_is_one(page, tmp_path):
    (text,) = re.findall(r"^```toml\n(.*?)^```", read(page), re.DOTALL | re.MULTILINE)
    case = tomllib.loads(text)["id"]
    (tmp_path / f"{case}.toml").write_text(text, encoding="utf-8")
    (tmp_path / "variants.toml").write_bytes((ROOT / "cases/variants.toml").read_bytes())
    (loaded,) = load_suite(tmp_path).cases
    assert (loaded.id, loaded.doubts) == (case, ())


def test_the_version_is_written_once_and_its_heading_is_in_the_changelog():
    project = tomllib.loads(read("pyproject.toml"))
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "qiltest.__version__"}
    heads = re.findall(r"^## \[(.+?)\]", read("CHANGELOG.md"), re.MULTILINE)
    assert heads[0] == "Unreleased"
    kinds = set(re.findall(r"^### (.+)$", read("CHANGELOG.md"), re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.mark.parametrize("index", ["README.md", "docs/README.md"])
def test_the_lists_of_pages_have_every_page(index):
    links = {(ROOT / index).parent / link.partition("#")[0] for link in LINK.findall(read(index))}
    linked = {link.resolve() for link in links}
    pages = [path for path in PAGES if path.is_relative_to(ROOT / "docs") and path.name != "README.md"]
    assert len(pages) > 30
    assert names(path for path in pages if path not in linked) == []
