"""An example or two of every command, for its `--help`: the words, and what they do."""

from __future__ import annotations

from qiltest.cli.parser import EXAMPLES as HEAD

#: of a terminal.
_COLUMNS = 80
#: by command, (words behind `qiltest`, what they do).
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "read": (
        ("read image.png", "lines, with confidence and place"),
        ("read *.png --json --reader easyocr", "of several, for a program"),
    ),
    "score": (
        ("score image.png --case coffee-shop@713x1280", "against a case"),
        ("score sign.png --expect OPEN 'HAPPY HAIR'", "against two texts"),
    ),
    "rescore": (
        ("rescore", "the latest run, read again"),
        ("rescore 20261130 --reader easyocr", "a run by the start of its id, by another reader"),
    ),
    "review": (
        ("review", "decide on the goldens of the latest run, one by one"),
        ("review latest --case coffee-shop", "of one case"),
        ("review night --accept-latency", "of a bundle, in its folder `night`"),
    ),
    "check": (
        ("check --lora new.safetensors --like 4step", "may it replace 4step?"),
        ("check --lora new.safetensors --like 4step --seeds 8", "with more evidence"),
        ("check --images new --against old", "two folders of images made elsewhere"),
    ),
    "plan": (
        ("plan --variant 4step --output plan.json", "what another program must generate"),
        ("plan --case coffee-shop --format comfyui-prompts", "as prompts for ComfyUI's API"),
    ),
    "compare": (
        ("compare 20261129 20261130", "two runs, each variant with itself"),
        ("compare latest --variant base --with 4step --report page.html", "two variants, with a page"),
        ("compare --across 20261129 20261130 --report page.html", "several sources side by side"),
    ),
    "verify": (
        ("verify latest", "is it complete and unchanged, and does it pass?"),
        ("verify night --golden golden --cases cases", "a bundle, by this checkout's goldens and cases"),
    ),
    "report": (
        ("report --open", "the latest run, in the browser"),
        ("report latest --previous 20261129", "what changed since that run"),
        ("report latest --bundle", "one zip for another machine"),
    ),
    "history": (
        ("history coffee-shop", "a case over the stored runs"),
        ("history coffee-shop@713x1280 --variant 4step --last 7", "one size and variant, a week of nights"),
        ("history --html trends.html", "all cases: since when, texts and latency"),
    ),
    "stability": (
        ("stability --case coffee-shop", "the same images again: what moves?"),
        ("stability --draws 5 --threads 1,2", "more often, also with other thread counts"),
    ),
    "notify": (
        ("notify latest --github --dry-run", "which issues would it open, comment on and close?"),
        ("notify latest --github", "one issue per failing case, by the GitHub CLI"),
    ),
    "runs": (("runs --last 10", "the newest ten"), ("runs --runs /data/qiltest-runs", "of another folder")),
    "prune": (
        ("prune --keep 30", "say what could go"),
        ("prune --keep 30 --remove", "remove it"),
    ),
    "lora": (
        ("lora new.safetensors", "what is in it, and does it fit?"),
        ("lora new.safetensors --like 4step", "beside the LoRA of a variant"),
    ),
    "calibrate": (
        ("calibrate --case coffee-shop", "one case, by the default reader"),
        ("calibrate --reader easyocr --images 12", "all cases, by another reader"),
        ("calibrate --strokes", "only what a new glyph network takes for broken"),
    ),
    "init": (("init my-images", "a new project in this folder"), ("init my-edits --edit", "with an edit case, too")),
    "completion": (
        ("completion bash >> ~/.bashrc", "for every new bash"),
        ("completion fish > ~/.config/fish/completions/qiltest.fish", "for fish"),
    ),
}


def epilog(command: str) -> str:
    """Return the examples of a command as its help shows them."""
    lines = [(f"  qiltest {words}", what) for words, what in EXAMPLES[command]]
    width = max(len(words) for words, _ in lines)
    if any(width + 3 + len(what) >= _COLUMNS for _, what in lines):
        return "\n".join([HEAD, *(f"{words}\n      {what}" for words, what in lines)])
    return "\n".join([HEAD, *(f"{words.ljust(width)}   {what}" for words, what in lines)])
