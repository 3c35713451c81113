"""`qiltest completion`, and what a shell is told; the examples of every command's help."""

import io
import json
import shlex

import pytest

from qiltest.cli.completion import SHELLS, complete
from qiltest.cli.examples import EXAMPLES
from qiltest.cli.main import COMMANDS, build_parser, main

CASE = 'id = "{0}"\n[[resolutions]]\nsize = "713x1280"\n[[resolutions]]\nsize = "1328x1328"\n'


@pytest.fixture
def completed(monkeypatch, tmp_path):
    """What a shell is offered for a line, in a folder with two runs, two cases and two variants."""
    for name in ("20261129-000000-000000-aaaa", "20261130-000000-000000-bbbb"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "events.jsonl").touch()
    (tmp_path / "cases").mkdir()
    for name in ("door", "wall"):
        (tmp_path / "cases" / f"{name}.toml").write_text(CASE.format(name))
    (tmp_path / "cases" / "broken.toml").write_text("id = [[[")
    (tmp_path / "cases" / "variants.toml").write_text("[base]\nsteps = 50\n[4step]\nsteps = 4\n")
    monkeypatch.chdir(tmp_path)

    # it would take descriptor 9, which a shell opens for it, and which is pytest's here
    monkeypatch.setattr("argcomplete.finders.CompletionFinder._init_debug_stream", lambda _: None)

    def ask(line):
        for name, value in {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}.items():
            monkeypatch.setenv(name, value)
        offered = io.StringIO()
        with pytest.raises(SystemExit):
            complete(build_parser, line, exit_method=_stop, output_stream=offered)
        return {word.strip() for word in offered.getvalue().split("\v")}

    return ask


def _stop(code):
    raise SystemExit(code)


def test_a_command_is_completed(completed):
    assert completed("qiltest re") == {"read", "rescore", "review", "report"}


def test_the_options_of_a_command_are_completed(completed):
    assert completed("qiltest report --bu") == {"--bundle"}
    assert completed("qiltest report --format ") == {"html", "json", "md"}


def test_runs_cases_variants_and_readers_are_completed(completed):
    runs = {"latest", "20261129-000000-000000-aaaa", "20261130-000000-000000-bbbb"}
    assert runs <= completed("qiltest review ")
    assert completed("qiltest verify 202611") == runs - {"latest"}
    assert completed("qiltest report --case wall") == {"wall", "wall@713x1280", "wall@1328x1328"}
    assert completed("qiltest compare latest --variant ") == {"base", "4step"}
    assert completed("qiltest read x.png --reader ea") == {"easyocr"}


def test_the_folder_that_was_named_is_looked_at(completed, tmp_path):
    (tmp_path / "runs").rename(tmp_path / "kept")
    assert completed("qiltest verify 2026") == {""}
    assert "20261129-000000-000000-aaaa" in completed("qiltest verify --runs kept 2026")
    (tmp_path / "cases").rename(tmp_path / "gone")
    assert completed("qiltest compare latest --variant ba") == {""}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_code_for_a_shell_is_printed_as_it_is(shell, capsys):
    assert main(["completion", shell]) == 0
    code = capsys.readouterr().out
    assert "qiltest" in code
    assert "_ARGCOMPLETE" in code
    assert main(["completion", shell, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["code"].strip() == code.strip()


def test_a_shell_that_asks_is_answered_by_the_command_itself(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    monkeypatch.setenv("COMP_LINE", "qiltest re")
    monkeypatch.setattr("qiltest.cli.completion.complete", lambda parser_of, line: asked.append((parser_of, line)))
    with pytest.raises(SystemExit):
        main(["--version"])
    assert asked == [(build_parser, "qiltest re")]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_examples_that_are_taken(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "\nexamples:\n" in shown
    for words, what in EXAMPLES[command]:
        assert f"  qiltest {words}" in shown
        assert what in shown
        asked = shlex.split(words.partition(" >")[0])
        assert build_parser(command).parse_args(asked).handler is not None
        assert asked[0] == command
