"""What a session refuses before it generates or judges anything."""

from types import SimpleNamespace

import pytest

from qiltest.session.guards import refuse_on_worker


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (None, "pytest-xdist would generate several images at once\n  -> remove -n, or"),
        ("folder", "--qil-images judges a folder as one run, in one process\n  -> remove -n"),
    ],
)
def test_a_worker_of_xdist_is_told_why_it_does_nothing(images, said):
    config = SimpleNamespace(workerinput={}, option=SimpleNamespace(qil_images=images))
    with pytest.raises(pytest.fail.Exception) as failed:
        refuse_on_worker(config)
    assert said in str(failed.value)
    assert ("generat" in str(failed.value)) is (images is None)
    refuse_on_worker(SimpleNamespace())
