"""A message that pytest and the commands share names the options of the one that was called."""

import pytest
from PIL import Image

from qiltest.cli.main import COMMANDS, build_parser, main
from qiltest.cli.own_words import in_own_words

#: what commands cannot be called without.
WORDS = {
    "read": ["a.png"],
    "score": ["a.png", "--case=a"],
    "rescore": ["latest"],
    "review": ["latest"],
    "compare": ["a", "b"],
    "verify": ["latest"],
    "stability": ["--variant=a"],
    "notify": ["latest"],
    "lora": ["a"],
    "init": ["a"],
    "completion": ["bash"],
}
FLAGS = {"--case", "--base-model", "--runs", "--model"}


@pytest.mark.parametrize(
    ("shared", "own"),
    [
        ("leave it out with --qil-case", "leave it out with --case"),
        ("--qil-base=ID says it", "--base-model=ID says it"),
        ("--qil-model=tiny: no GPU\n  -> --qil-model=tiny", "--model=tiny: no GPU\n  -> --model=tiny"),
        ("choose another folder with --qil-runs; then", "choose another folder with --runs; then"),
        ("record it with --qil-update=changed", "record it with pytest --qil-update=changed"),
        ("with --qil-case, --qil-variant or --qil-seeds", "with --case, pytest --qil-variant or --qil-seeds"),
        ("generate it: pytest -m gpu --qil-case=a", "generate it: pytest -m gpu --qil-case=a"),
        ("pytest first\n  -> or --qil-case", "pytest first\n  -> or --case"),
        ("nothing to say --qil-", "nothing to say --qil-"),
    ],
)
def test_an_option_is_the_commands_own_where_it_has_it_and_pytests_where_not(shared, own):
    assert in_own_words(shared, FLAGS) == own


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_knows_its_own_options(command):
    words = WORDS.get(command, [])
    flags = build_parser(command).parse_args([command, *words]).flags
    assert "--json" in flags
    assert not [flag for flag in flags if flag.startswith("--qil-")]


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "mine", "--edit"]) == 0
    monkeypatch.chdir(tmp_path / "mine")
    return tmp_path / "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        # an editing model of which nothing says that it is one
        (["plan", "--model=owner/any", "--variant=edit-2511-base", "--case=menu"], "with --base-model, or"),
        (["plan", "--model=Qwen/Qwen-Image-2512", "--variant=8step"], "--base-model=ID says what the model is"),
        (["stability", "--model=Qwen/Qwen-Image-2512", "--variant=8step"], "--base-model=ID says what the model is"),
    ],
    ids=["plan of an edit", "plan of another base", "stability"],
)
def test_a_remedy_is_what_can_be_typed_with_the_command(project, capsys, words, said):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "--qil-" not in err


def test_a_command_that_selects_no_case_names_its_own_option(project, capsys):
    (project / "cases/edit/menu.toml").unlink()
    assert main(["plan", "--model=Qwen/Qwen-Image-Edit-2511"]) == 2
    assert "name cases with --case" in capsys.readouterr().err


@pytest.mark.parametrize("json", [(), ("--json",)], ids=["text", "json"])
def test_score_names_its_own_reader_and_its_own_texts(tmp_path, capsys, json):
    Image.radial_gradient("L").save(tmp_path / "a.png")
    assert main(["score", str(tmp_path / "a.png"), "--expect", "HELLO", *json]) == 1
    out = capsys.readouterr().out
    assert "try another reader (--reader)" in " ".join(out.split())


def test_score_of_an_edit_without_a_case_speaks_of_what_was_asked(tmp_path, capsys):
    from integration.test_guide_edit_cases import draw

    draw(tmp_path / "a.png", "SALE")
    image = str(tmp_path / "a.png")
    assert main(["score", image, "--expect", "OPEN", "--removed", "CLOSED", "--input", image]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "does not show what is asked: 'CLOSED' is to be removed, and was not read" in out
    assert "correct what is to stay and to be removed" in out
    assert "case" not in out.partition("->")[2]
