"""`import qiltest`: the names that other code may use, and what importing them costs."""

import subprocess
import sys

import pytest

import qiltest


def loaded_by(code: str) -> set[str]:
    """Names of the modules that `code` loads in a Python of its own, beside those that Python starts with."""
    script = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("name", qiltest.__all__)
def test_every_public_name_is_there(name):
    assert getattr(qiltest, name) is not None
    assert name in dir(qiltest)


def test_the_public_names_are_sorted_and_listed_once():
    assert qiltest.__all__ == sorted(set(qiltest.__all__))


def test_another_name_is_refused_as_any_module_does():
    with pytest.raises(AttributeError, match="module 'qiltest' has no attribute 'paint'"):
        _ = qiltest.paint


def test_importing_the_package_loads_none_of_its_parts():
    ours = {name for name in loaded_by("import qiltest") if name.partition(".")[0] not in sys.stdlib_module_names}
    assert ours == {"qiltest"}


def test_a_name_loads_its_own_part_alone():
    loaded = loaded_by("from qiltest import Line")
    assert "qiltest.reading.records" in loaded
    assert not {"torch", "diffusers", "onnxruntime", "qiltest.session", "qiltest.report"} & loaded
