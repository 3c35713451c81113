"""Compare `fused_model.py` with the libraries' own forwards: values, states and every parameter's gradient, in float32.

python tools/tiny_model/check_fused_model.py [--compile] [--device cuda]
"""

from __future__ import annotations

import argparse

import torch
from fused_model import Lean
from models import build_text_encoder, build_transformer, encode_text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.manual_seed(0)
    transformer = build_transformer().to(args.device)
    encoder = build_text_encoder(500).to(args.device)
    with torch.no_grad():
        for module in (transformer, encoder):
            for p in module.parameters():
                p.add_(0.02 * torch.randn_like(p))
    lean = Lean(transformer, encoder.model.language_model, torch.float32, compiled=args.compile)
    parameters = {**dict(transformer.named_parameters()), **dict(encoder.model.language_model.named_parameters())}
    states: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    for n in (2, 4):
        transformer.transformer_blocks[n].register_forward_hook(lambda _m, _i, out, n=n: states.update({n: out}))
    worst = 0.0
    for size, rows, cols, tokens in ((2, 6, 8, 21), (3, 4, 16, 40), (2, 8, 8, 9)):
        ids = torch.randint(0, 500, (size, 34 + tokens), device=args.device)
        x, level = torch.randn(size, rows * cols, 64, device=args.device), torch.rand(size, device=args.device)
        goal = torch.randn_like(x)
        found = []
        for own in (True, False):
            shape = (1, rows, cols)
            if own:
                embeds = lean.encode(ids, 34)
                out, kept = lean.velocity(x, level, embeds, shape, keep=(2, 4))
            else:
                embeds = encode_text(encoder, ids, 34)
                out = transformer(
                    hidden_states=x, timestep=level, encoder_hidden_states=embeds, encoder_hidden_states_mask=None,
                    img_shapes=[[shape]] * size, return_dict=False,
                )[0]  # fmt: skip
                kept = dict(states)
            loss = (out - goal).pow(2).mean() + sum(s.pow(2).mean() for n in (2, 4) for s in kept[n])
            grads = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
            found.append([embeds, out, *(s for n in (2, 4) for s in kept[n]), *grads])
        names = ["embeds", "velocity", "text 2", "image 2", "text 4", "image 4", *parameters]
        for name, one, other in zip(names, *found, strict=True):
            if one is None or other is None:
                gone = one if other is None else other
                assert gone is None or not gone.any(), name
                continue
            error = float((one - other).detach().norm() / (other.detach().norm() + 1e-12))
            worst = max(worst, error)
            if not error <= 1e-4:
                print(f"{name}: {error:.1e}")
    print(f"largest relative difference {worst:.1e}")
    if not worst <= 1e-4:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
