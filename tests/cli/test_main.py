"""The command line as a whole; each verb has tests of its own."""

import subprocess
import sys

import pytest

from qiltest import __version__
from qiltest.cli.main import build_parser, main

VERBS = ("read", "score", "rescore", "review", "check", "compare", "report", "lora")


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"qiltest {__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_what_it_does_and_takes_json(capsys, verb):
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help"])
    assert "--json" in capsys.readouterr().out


def test_the_verbs_are_those_of_the_help():
    text = build_parser().format_help()
    assert all(f"    {verb} " in text for verb in VERBS)


@pytest.mark.parametrize("args", [[], ["dance"], ["rescore", "--nothing"]])
def test_a_command_used_wrongly_ends_with_2(capsys, args):
    with pytest.raises(SystemExit) as caught:
        main(args)
    assert caught.value.code == 2
    assert "usage: qiltest" in capsys.readouterr().err


def test_an_error_that_users_can_mend_has_no_traceback(tmp_path, capsys):
    assert main(["rescore", "--runs", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("qiltest: ")
    assert "  -> " in err
    assert "Traceback" not in err


def test_an_interrupted_command_says_so(monkeypatch, capsys):
    def interrupt(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("qiltest.cli.rescore.RunStore", interrupt)
    assert main(["rescore"]) == 130
    assert capsys.readouterr().err == "qiltest: interrupted\n"


def test_it_starts_without_torch_and_without_readers():
    script = (
        "import sys, qiltest.cli.main\n"
        "loaded = {'torch', 'diffusers', 'rapidocr', 'easyocr', 'onnxruntime', 'cv2'} & set(sys.modules)\n"
        "print(sorted(loaded))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_plugin_loads_neither():
    script = (
        "import sys, pytest\n"
        "pytest.main(['--version'])\n"
        "loaded = {'torch', 'diffusers', 'rapidocr', 'easyocr', 'onnxruntime', 'cv2', 'PIL'} & set(sys.modules)\n"
        "print(sorted(loaded))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
