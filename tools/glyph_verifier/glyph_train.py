"""Train the network that sees broken strokes, and measure it on fonts and characters that it never saw.

    python tools/glyph_verifier/glyph_train.py --bank bank.xz --out FOLDER [--seconds 1080 | --total 1320]

One GPU; everything is drawn on it. Writes network.pt (state dict) every two minutes and at the end, training.log, and
evaluation.json (glyph_evaluate.py). Then glyph_export.py makes the packaged glyphs.onnx of both.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from glyph_damage import KINDS
from glyph_data import SCRIPTS, Bank, load
from glyph_evaluate import evaluate
from glyph_examples import CHANGED, KEPT, SHARES, Examples, Source, embedded_vae
from glyph_net import Net

from qiltest.arguments import existing_file
from qiltest.reading.glyphs.references import references

ROOT = Path(__file__).resolve().parents[2]
RATE, DECAY, EMA = 2e-3, 5e-3, 0.998
#: of the losses beside the answer's: where the drawing lies in the crop, where it was changed, and broken characters
#: below the whole ones that look most broken.
PLACING, FINDING, RANKING = 2.0, 1.0, 0.3
#: share of whole characters that broken ones are ranked above.
HARDEST = 0.01
#: share of the time in which a part of the examples is plain, and after which ranking begins.
CALM, RANKED = 0.03, 0.2
#: The running mean follows every so many steps; weights are saved every so many seconds.
FOLLOW, SAVE = 4, 120.0
#: Kinds that are hard to see are shown more often, those that anyone sees less often.
OFTEN = {
    "quarter erased": 0.5,
    "another character": 0.6,
    "part moved": 1.3,
    "part doubled": 1.5,
    "false stroke": 1.5,
    "bent": 1.3,
    "two blended": 1.5,
    "strokes interrupted": 1.3,
    "stroke moved": 1.5,
    "stroke lost": 1.3,
    "box erased": 1.3,
}


def main() -> int:
    """Train for a while, evaluate, write."""
    begin = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", type=existing_file, required=True, help="what glyph_bank.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=1080)
    parser.add_argument("--total", type=float, help="seconds for all of it: the training takes what is left")
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--draws", type=int, default=8, help="batches that are drawn at once")
    parser.add_argument("--fonts", type=int, help="only so many of the fonts, to try")
    parser.add_argument("--start", type=existing_file, help="weights to go on from, at a third of the rate")
    parser.add_argument("--workers", type=int, default=8, help="threads that prepare the bank")
    parser.add_argument("--tests", type=float, default=1.0, help="share of the evaluation's examples, to try")
    parser.add_argument("--evaluate", type=existing_file, help="weights to evaluate, without training")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(25)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    bank = load(args.bank, references(), device, most_fonts=args.fonts, workers=args.workers)
    vae = embedded_vae(ROOT / "src/qiltest/generation/tiny/vae", device)
    log = Log(args.out / "training.log")
    loaded = f"{len(bank.char)} drawings, {len(bank.characters)} characters, VAE {vae is not None}"
    log(f"{loaded}, {device}, loaded in {time.monotonic() - begin:.0f} s")
    if args.evaluate is not None:
        net = Net(bank.drawings.shape[1]).to(device).eval()
        net.load_state_dict(torch.load(args.evaluate, map_location=device, weights_only=True))
    else:
        seconds = args.seconds if args.total is None else args.total - (time.monotonic() - begin) - reserve(args.total)
        net = train(bank, vae, device, args, log, seconds)
        save(net, args.out / "network.pt")
    torch.backends.cudnn.benchmark = False
    if device.type == "cuda":
        torch.cuda.empty_cache()
    evaluate(net, bank, vae, log, share=args.tests, file=args.out / "evaluation.json")
    return 0


def reserve(total: float) -> float:
    """Return the seconds of all that the evaluation is given."""
    return max(100.0, 0.12 * total)


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


def save(net: Net, file: Path) -> None:
    """Write a state dict; whoever reads meanwhile finds the one before."""
    torch.save(net.state_dict(), file.with_suffix(".part"))
    file.with_suffix(".part").replace(file)


def train(
    bank: Bank, vae: object, device: torch.device, args: argparse.Namespace, log: Callable[[str], None], seconds: float
) -> Net:
    """Return the running mean of the network's weights after some seconds."""
    cuda = device.type == "cuda"
    torch.backends.cudnn.benchmark = True  # always the same shapes, unlike the evaluation's
    pools = [bank.chosen("train", (script,), kept=False) for script in range(4)]
    weights = tuple(OFTEN.get(kind, 1.0) for kind in KINDS)
    source = Source(bank, pools, seed=1, vae=vae, weights=weights, varied=True)
    net = Net(bank.drawings.shape[1]).to(device)
    net.to(memory_format=torch.channels_last)
    rate = RATE
    if args.start is not None:
        net.load_state_dict(torch.load(args.start, map_location=device, weights_only=True))
        rate = RATE / 3
    mean = copy.deepcopy(net)
    log(f"{sum(p.numel() for p in net.parameters()):,} parameters, pools {[len(pool) for pool in pools]}")
    drawer = Drawer(source, args.batch * args.draws // 2, device)
    drawn = drawer.draw(calm=True)
    learner = Learner(net, drawn.part(torch.arange(args.batch, device=device)), device, log)
    begin = saved = told = time.monotonic()
    step, sums, counted = 0, torch.zeros(6, device=device), 0
    while (spent := time.monotonic() - begin) < seconds:
        progress = spent / seconds
        learner.set(rate * scheduled(step, progress), RANKING if progress > RANKED else 0.0)
        # twins stay in one batch
        order = torch.randperm(drawn.x.shape[0] // 2, device=device).split(args.batch // 2)
        for some in order:
            sums += learner.learn(drawn.part(torch.cat([some, some + drawn.x.shape[0] // 2])))
            step += 1
            counted += 1
            if step % FOLLOW == 0:
                follow(mean, net, min(EMA, step / (step + 20)) ** FOLLOW)
        # the device draws the next ones while it learns from these
        drawn = drawer.draw(calm=progress < CALM and step // len(order) % 2 == 0)
        if time.monotonic() - told > (15 if cuda else 20):
            told = time.monotonic()
            shown = [round(value, 4) for value in (sums / counted).tolist()]
            log(
                f"step {step}, {step * args.batch:,} examples, loss {shown[0]}, place {shown[1]}, where {shown[2]}, "
                f"rank {shown[3]}, right: whole {shown[4]}, broken {shown[5]}"
                + (f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if cuda else "")
            )
            sums.zero_()
            counted = 0
        if time.monotonic() - saved > SAVE:
            saved = time.monotonic()
            save(mean, args.out / "network.pt")
    return mean.eval()


def scheduled(step: int, progress: float) -> float:
    """Return the learning rate by its highest: 500 steps up, then half a cosine down."""
    return min(1.0, (step + 1) / 500) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, progress))) + 1e-3


class Drawer:
    """Draws examples, on a GPU beside what else it does."""

    def __init__(self, source: Source, twins: int, device: torch.device) -> None:
        self._source, self._twins = source, twins
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._before: torch.cuda.Event | None = None
        if self._stream is not None:
            torch.cuda.synchronize(device)  # the bank may still be prepared in the other stream

    @torch.no_grad()
    def draw(self, *, calm: bool) -> Examples:
        """Return broken examples, then their whole twins."""
        if self._stream is None:
            return self._source.twins(self._twins, calm=calm)
        main = torch.cuda.current_stream()
        if self._before is not None:  # no more than one round ahead: what was drawn takes memory
            self._before.synchronize()
        self._before = main.record_event()
        with torch.cuda.stream(self._stream):
            drawn = self._source.twins(self._twins, calm=calm)
        main.wait_stream(self._stream)
        for values in vars(drawn).values():
            values.record_stream(main)
        return drawn


class Learner:
    """Steps of the optimiser. On a GPU one step is recorded and then replayed, because its launches take longer than
    its work; where that fails steps are taken one launch at a time.
    """

    def __init__(self, net: Net, examples: Examples, device: torch.device, log: Callable[[str], None]) -> None:
        """`examples`: one batch, for its shapes and to warm up."""
        self._net, self._device = net, device
        cuda = device.type == "cuda"
        rate = torch.tensor(RATE, device=device) if cuda else RATE
        self._optimiser = torch.optim.AdamW(net.parameters(), rate, weight_decay=DECAY, capturable=cuda)
        self._ranking = torch.zeros((), device=device)
        self._graph: torch.cuda.CUDAGraph | None = None
        if not cuda:
            return
        self._examples = Examples(**{name: values.clone() for name, values in vars(examples).items()})
        self.set(1e-5, 0.0)
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(4):
                self._step(self._examples)
        torch.cuda.current_stream().wait_stream(beside)
        torch.cuda.synchronize()
        try:
            graph = torch.cuda.CUDAGraph()
            self._optimiser.zero_grad(set_to_none=True)
            with torch.cuda.graph(graph):
                self._parts = self._step(self._examples, fresh=True)
            self._graph = graph
        except RuntimeError as error:
            log(f"a step could not be recorded: {error}")
            torch.cuda.synchronize()
            self._optimiser.zero_grad(set_to_none=True)

    def set(self, rate: float, ranking: float) -> None:
        """Set the learning rate and the weight of ranking."""
        self._ranking.fill_(ranking)
        for group in self._optimiser.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def learn(self, examples: Examples) -> torch.Tensor:
        """Take one step and return what to log."""
        if self._graph is None:
            return self._step(examples)
        for name, values in vars(self._examples).items():
            values.copy_(getattr(examples, name))
        self._graph.replay()
        return self._parts

    def _step(self, examples: Examples, *, fresh: bool = False) -> torch.Tensor:
        loss, parts = losses(self._net, examples, self._ranking, self._device)
        if not fresh:
            self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._net.parameters(), 2.0)
        self._optimiser.step()
        return parts


def losses(
    net: Net, examples: Examples, ranking: torch.Tensor, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss, and what to log: its four parts and the shares that were right."""
    net.train()
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda", cache_enabled=False):
        output, placed, spots = net.all(examples.x.contiguous(memory_format=torch.channels_last))
    output = output.float()
    seen = examples.seen.float()
    each = F.binary_cross_entropy_with_logits(output, examples.broken, reduction="none")
    judged = (each * seen).sum() / seen.sum()
    # where the drawing lies cannot be told from another character's
    same = (examples.kind < len(KINDS) - 1).float()
    off = F.smooth_l1_loss(placed.float(), examples.placed, beta=0.05, reduction="none").mean(dim=(1, 2))
    placing = (off * same).sum() / same.sum().clamp(min=1)
    finding = found(spots, examples)
    ranked = rank(output, examples)
    right = ((output > 0) == (examples.broken > 0)).float() * seen
    whole, broken = (1 - examples.broken) * seen, examples.broken * seen
    parts = [judged, placing, finding, ranked]
    parts += [(right * whole).sum() / whole.sum(), (right * broken).sum() / broken.sum().clamp(min=1)]
    loss = judged + PLACING * placing + FINDING * finding + ranking * ranked
    return loss, torch.stack([part.detach() for part in parts])


def found(spots: torch.Tensor, examples: Examples) -> torch.Tensor:
    """Return the loss of where drawings were changed: cells with little change do not count."""
    changed = (examples.where >= CHANGED).float()
    counts = (examples.where >= CHANGED) | (examples.where <= KEPT)
    counts = (counts & examples.seen[:, None, None]).float() * (1 + 3 * changed)
    each = F.binary_cross_entropy_with_logits(spots.float(), changed, reduction="none")
    return (each * counts).sum() / counts.sum().clamp(min=1)


def rank(output: torch.Tensor, examples: Examples) -> torch.Tensor:
    """Return the loss of broken characters that are not above the whole ones of their script that look most broken."""
    parts = []
    for number in range(len(SCRIPTS)):
        mine = examples.script == number
        whole = torch.where(mine & (examples.broken == 0), output, -1e4)
        most = max(2, round(HARDEST * SHARES[number] * len(output) / 2))
        hardest = whole.topk(min(most, len(output))).values
        real = (hardest > -1e3).float()
        broken = (mine & (examples.broken > 0) & examples.seen).float()
        each = F.softplus(hardest[None, :] - output[:, None])
        weight = broken[:, None] * real[None, :]
        parts.append(SHARES[number] * (each * weight).sum() / weight.sum().clamp(min=1))
    return torch.stack(parts).sum()


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
