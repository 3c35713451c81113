"""Configs of LoRA files at their limits, and the exact words of what is refused."""

import json

import pytest

from qiltest.lora import adapter_config as module
from qiltest.lora.adapter_config import METADATA_KEY, AdapterConfigError, adapter_config
from qiltest.lora.patterns import MOST_ENTRIES


def config(**entries):
    named = {f"transformer.{name}": value for name, value in ({"target_modules": ["to_q"]} | entries).items()}
    return adapter_config({METADATA_KEY: json.dumps(named)})


def refused(**entries):
    with pytest.raises(AdapterConfigError) as error:
        config(**entries)
    return str(error.value)


def test_a_config_of_the_most_characters_is_read_and_of_one_more_not(monkeypatch):
    text = json.dumps({"transformer.target_modules": ["to_q"]})
    monkeypatch.setattr(module, "_LONGEST", len(text))
    assert adapter_config({METADATA_KEY: text}) is not None
    with pytest.raises(AdapterConfigError) as error:
        adapter_config({METADATA_KEY: text + " "})
    assert str(error.value) == (
        f"`lora_adapter_metadata` has {len(text) + 1} characters, more than the {len(text)} that are read"
    )


@pytest.mark.parametrize("text", ["[1]", "7", "null"])
def test_a_config_that_is_no_object_is_refused(text):
    with pytest.raises(AdapterConfigError) as error:
        adapter_config({METADATA_KEY: text})
    assert str(error.value) == "`lora_adapter_metadata` is not a JSON object"


def test_five_unknown_settings_are_named_in_order():
    message = refused(**dict.fromkeys("fedcba", 1))
    assert message == "`lora_adapter_metadata` has settings that peft 0.21 does not: 'a, b, c, d, e'"


@pytest.mark.parametrize("rank", [1, 2, (1 << 20) - 1])
def test_ranks_that_are_read(rank):
    assert config(r=rank).r == rank
    assert config(rank_pattern={"to_q": rank}).rank("to_q") == rank


@pytest.mark.parametrize("rank", [0, -1, 1 << 20, 4.0, True, "4", None])
def test_ranks_that_are_not(rank):
    assert refused(r=rank) == f"`lora_adapter_metadata` gives 'r' the rank {rank!r}"
    assert refused(rank_pattern={"to_q": rank}) == f"`lora_adapter_metadata` gives 'to_q' the rank {rank!r}"


@pytest.mark.parametrize("alpha", [0, 1, -0.5, 999_999_999.0])
def test_alphas_that_are_read(alpha):
    assert config(lora_alpha=alpha).lora_alpha == alpha
    assert config(r=1, alpha_pattern={"to_q": alpha}).scale("to_q") == alpha


@pytest.mark.parametrize("alpha", [1e9, -1e9, True, "4", None, 10**40])
def test_alphas_that_are_not(alpha):
    assert refused(lora_alpha=alpha) == f"`lora_adapter_metadata` gives 'lora_alpha' the alpha {alpha!r}"
    assert refused(alpha_pattern={"to_q": alpha}) == f"`lora_adapter_metadata` gives 'to_q' the alpha {alpha!r}"


@pytest.mark.parametrize(("length", "shown"), [(58, "'{}'"), (59, "'{}…")])
def test_a_long_value_is_cut_after_sixty_characters(length, shown):
    value = "x" * length
    assert refused(r=value).endswith("the rank " + shown.format(value))


def test_a_pattern_may_have_the_most_entries_and_no_more():
    entries = {f"m{number}": 4 for number in range(MOST_ENTRIES)}
    assert len(config(rank_pattern=entries).rank_pattern.entries) == MOST_ENTRIES
    message = refused(rank_pattern={**entries, "more": 4})
    assert message == f"rank_pattern of `lora_adapter_metadata` has {MOST_ENTRIES + 1:,} entries, over {MOST_ENTRIES:,}"


def test_no_json_is_told_in_a_hundred_characters():
    with pytest.raises(AdapterConfigError) as error:
        adapter_config({METADATA_KEY: "{" * 3})
    assert str(error.value).startswith("`lora_adapter_metadata` is not JSON (")
    assert len(str(error.value)) <= len("`lora_adapter_metadata` is not JSON ()") + 100
