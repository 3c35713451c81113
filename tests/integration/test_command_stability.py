"""`qiltest stability` on the stand-in model."""

import importlib.util
import json

import pytest

from qiltest.cli.main import main
from qiltest.runs import RunStore

SAMPLE = "coffee@1328x1328-fast-s42"


@pytest.fixture
def opened(suite, monkeypatch):
    """A suite whose model is opened by the command; what it was opened with, and a plan for each of its draws."""
    spec = importlib.util.spec_from_file_location("standin", suite.path / "conftest.py")
    standin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(standin)
    seen, plans = [], []

    def open_generator(model, settings):
        suite.plan(**(plans[len(seen)] if len(seen) < len(plans) else {}))
        seen.append((settings.device, settings.threads))
        return standin.StandinGenerator(model)

    monkeypatch.setattr("qiltest.generation.open_generator", open_generator)
    monkeypatch.setattr("qiltest.reading.open_reader", lambda name, **_: standin.StandinReader(name))
    monkeypatch.chdir(suite.path)
    return suite, seen, plans


def test_draws_with_equal_results_are_stable_and_no_run_of_the_suite(opened, capsys):
    suite, seen, _ = opened
    assert main(["stability", "--case", "coffee", "--variant", "fast", "--draws", "2", "--threads", "1,2"]) == 0
    out = capsys.readouterr().out
    assert seen == [("cpu", None), ("cpu", None), ("cpu", 1), ("cpu", 2)]
    assert f"{SAMPLE}: stable; edits by draw 0 0 0 0; 1 different image" in out
    assert "1 of 1 sample stable over 4 draws" in out
    assert "other batches: not offered" in out
    assert suite.generated() == ["coffee fast 42"] * 4, "every draw is one: nothing is reused"
    store = RunStore(root=suite.path / "runs")
    assert {store.load(folder.name).purpose for folder in store.folders()} == {"stability"}
    assert main(["history", "coffee"]) == 2
    assert "no run is recorded" in capsys.readouterr().err


def test_a_text_that_moves_is_named_with_its_limit(opened, capsys):
    _, _, plans = opened
    plans += [{}, {"coffee__fast": {"typos": {"Qwen Coffee": "Qwen Cofee"}}}, {}]
    words = ["stability", "--case", "coffee", "--variant", "fast"]
    assert main(words) == 1
    out = capsys.readouterr().out
    for line in (
        f"{SAMPLE}: NOT STABLE; edits by draw 0 1 0; 2 different images",
        "  text 1    'Qwen Coffee' read as 'Qwen Coffee' (2), 'Qwen Cofee' (1); 0 to 1 edit",
        "  gate      2 of 6 pairs fail, the one as the other's golden",
        "  needs     tolerance = 1 (now 0)",
        "  needs     text_tolerance = 1 (now 0)",
    ):
        assert line in out
    assert main([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["stable"], record["batch"], len(record["draws"])) == (True, None, 3)


def test_other_gpus_have_one_draw_each(opened, capsys):
    _, seen, _ = opened
    main(["stability", "--case", "coffee", "--variant", "fast", "--draws", "2", "--device", "cpu,cpu:0"])
    assert [device for device, _ in seen] == ["cpu", "cpu", "cpu:0"]
    assert "on cpu:0 " in capsys.readouterr().out


def test_one_draw_is_wrong_usage(opened, capsys):
    with pytest.raises(SystemExit):
        main(["stability", "--draws", "1"])
    assert "one draw has nothing to be compared with" in capsys.readouterr().err


def test_after_a_check_or_a_try_latest_is_the_last_run_of_the_suite(opened):
    suite, _, _ = opened
    suite.run()
    last = suite.latest().id
    main(["stability", "--case", "coffee", "--variant", "fast", "--draws", "2"])
    assert suite.latest().id == last
