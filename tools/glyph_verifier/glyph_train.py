"""Train the network that sees broken strokes, and measure it on fonts and characters that it never saw.

    python tools/glyph_verifier/glyph_train.py --bank bank.xz --out FOLDER [--seconds 900]

One GPU; everything is drawn on it. Writes network.pt (state dict) every two minutes and at the end, training.log, and
evaluation.json (glyph_evaluate.py). Then glyph_export.py makes the packaged glyphs.onnx of both.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from glyph_data import Bank, load
from glyph_evaluate import evaluate
from glyph_examples import Examples, Source, embedded_vae
from glyph_net import Net

from qiltest.reading.glyphs.references import references

ROOT = Path(__file__).resolve().parents[2]
RATE, DECAY, EMA = 2.5e-3, 2e-3, 0.999
#: of the loss of where the drawing lies in the crop.
PLACING = 2.0


def main() -> int:
    """Train for a while, evaluate, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument("--draws", type=int, default=4, help="batches that are drawn at once")
    parser.add_argument("--fonts", type=int, help="only so many of the fonts, to try")
    parser.add_argument("--start", type=Path, help="weights to go on from, at a third of the rate")
    parser.add_argument("--workers", type=int, default=8, help="threads that prepare the bank")
    parser.add_argument("--tests", type=float, default=1.0, help="share of the evaluation's examples, to try")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(25)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    begin = time.monotonic()
    bank = load(args.bank, references(), device, most_fonts=args.fonts, workers=args.workers)
    vae = embedded_vae(ROOT / "src/qiltest/generation/tiny/vae", device)
    log = Log(args.out / "training.log")
    loaded = f"{len(bank.char)} drawings, {len(bank.characters)} characters, VAE {vae is not None}"
    log(f"{loaded}, {device}, loaded in {time.monotonic() - begin:.0f} s")
    net = train(bank, vae, device, args, log)
    torch.save(net.state_dict(), args.out / "network.pt")
    evaluate(net, bank, vae, log, share=args.tests, file=args.out / "evaluation.json")
    return 0


class Log:
    """Writes lines to the terminal and a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._begin = time.monotonic()

    def __call__(self, line: str) -> None:
        line = f"{time.monotonic() - self._begin:6.0f} s  {line}"
        print(line, flush=True)
        with self._file.open("a") as file:
            file.write(line + "\n")


def train(bank: Bank, vae: object, device: torch.device, args: argparse.Namespace, log: Log) -> Net:
    """Return the running mean of the network's weights after `args.seconds`."""
    pools = [bank.chosen("train", (script,), kept=False) for script in range(4)]
    source = Source(bank, pools, seed=1, vae=vae)
    net = Net(bank.drawings.shape[1]).to(device)
    net.to(memory_format=torch.channels_last)
    rate = RATE
    if args.start is not None:
        net.load_state_dict(torch.load(args.start, map_location=device, weights_only=True))
        rate = RATE / 3
    mean = copy.deepcopy(net)
    log(f"{sum(p.numel() for p in net.parameters()):,} parameters, pools {[len(pool) for pool in pools]}")
    optimiser = torch.optim.AdamW(net.parameters(), rate, weight_decay=DECAY)
    begin = saved = time.monotonic()
    step, sums, counted = 0, torch.zeros(4, device=device), 0
    while (spent := time.monotonic() - begin) < args.seconds:
        progress = spent / args.seconds
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 500) * (1 - progress) ** 1.2 + 2e-6
        # many are drawn at once, because the device waits for the launches, not for the pixels
        with torch.no_grad():
            drawn = source.draw(args.batch * args.draws)
        order = torch.randperm(args.batch * args.draws, device=device).split(args.batch)
        for some in order:
            loss, parts = losses(net, drawn.part(some), device)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            optimiser.step()
            step += 1
            follow(mean, net, min(EMA, step / (step + 20)))
            sums += parts
            counted += 1
        if counted >= (400 if device.type == "cuda" else 8):
            shown = [round(value, 4) for value in (sums / counted).tolist()]
            log(
                f"step {step}, {step * args.batch:,} examples, loss {shown[0]}, place {shown[1]}, "
                f"right: whole {shown[2]}, broken {shown[3]}"
            )
            sums.zero_()
            counted = 0
        if time.monotonic() - saved > 120:
            saved = time.monotonic()
            torch.save(mean.state_dict(), args.out / "network.pt")
    return mean.eval()


def losses(net: Net, examples: Examples, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss, and what to log: both parts of it and the shares that were right."""
    net.train()
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
        output, placed = net.both(examples.x.contiguous(memory_format=torch.channels_last))
    output = output.float()
    seen = examples.seen.float()
    each = F.binary_cross_entropy_with_logits(output, examples.broken, reduction="none")
    judged = (each * seen).sum() / seen.sum()
    # where the drawing lies cannot be told from another character's
    same = (examples.kind < 20).float()
    off = F.smooth_l1_loss(placed.float(), examples.placed, beta=0.05, reduction="none").mean(dim=(1, 2))
    placing = (off * same).sum() / same.sum().clamp(min=1)
    right = ((output > 0) == (examples.broken > 0)).float() * seen
    whole, broken = (1 - examples.broken) * seen, examples.broken * seen
    parts = [judged, placing, (right * whole).sum() / whole.sum(), (right * broken).sum() / broken.sum().clamp(min=1)]
    return judged + PLACING * placing, torch.stack([part.detach() for part in parts])


@torch.no_grad()
def follow(mean: Net, net: Net, share: float) -> None:
    """Move the running mean towards the network."""
    torch._foreach_lerp_(list(mean.parameters()), list(net.parameters()), 1 - share)
    for kept, new in zip(mean.buffers(), net.buffers(), strict=True):
        if kept.dtype.is_floating_point:
            kept.lerp_(new, 1 - share)
        else:
            kept.copy_(new)


if __name__ == "__main__":
    raise SystemExit(main())
