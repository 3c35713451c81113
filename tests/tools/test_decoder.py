"""The training of the VAE's decoder by itself (`tools/tiny_model/decoder.py`), and the images it learns from."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import AutoencoderKLQwenImage
from diffusers.models.autoencoders import autoencoder_kl_qwenimage

from qiltest.generation.sources import EMBEDDED


@pytest.fixture(scope="module")
def session(training, glyphs, atlas, tmp_path_factory):
    """What `train.Session` holds for this stage."""
    args = SimpleNamespace(
        vae=EMBEDDED / "vae",
        out=tmp_path_factory.mktemp("trained"),
        minutes=1.0,
        rate=1e-3,
        plateau=0.4,
    )
    return SimpleNamespace(
        args=args,
        device="cpu",
        records=False,
        glyphs=glyphs,
        painter=training("image").Painter(atlas, glyphs, "cpu"),
        vae=training("models").build_vae(),
        say=lambda *words: None,
    )


def test_scribbles_are_whole_glyphs_of_one_kind_with_some_places_blank(training, glyphs):
    torch.manual_seed(1)
    scribbler = training("image").Scribbler(lambda batch: batch, glyphs, "cpu")
    batch = scribbler(60, 8, 12)
    narrow, first_wide = len(glyphs.narrow), 1 + 2 * len(glyphs.narrow)
    wide = 0
    for grid in batch["grid"]:
        shown = grid[grid > 0]
        assert len(shown) / grid.numel() > 0.3
        top = grid.view(4, 2, 12)
        if shown.min() >= first_wide:
            wide += 1
            corner = top.view(4, 2, 6, 2)[:, 0, :, 0]
            there = corner > 0
            assert (((corner - first_wide) % 4)[there] == 0).all()
            for number, (down, right) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
                assert torch.equal(top.view(4, 2, 6, 2)[:, down, :, right], torch.where(there, corner + number, 0))
        else:
            assert shown.max() <= 2 * narrow
            assert (top[:, 0][top[:, 0] > 0] % 2 == 1).all()
            assert torch.equal(top[:, 1], torch.where(top[:, 0] > 0, top[:, 0] + 1, 0))
    assert 25 < wide < 55
    assert 0.6 < (batch["grid"] > 0).float().mean() < 0.8
    assert {len(batch[name].unique()) for name in ("style", "palette", "font")} == {4, 3, 2}


def test_the_noise_of_an_image_is_a_share_of_the_latents_own_deviation(training, session, monkeypatch):
    decoder, flow = training("decoder"), training("flow")
    torch.manual_seed(2)
    monkeypatch.setattr(session, "std", torch.linspace(1, 4, 16).view(1, -1, 1, 1), raising=False)
    clean, seen = torch.full((64, 16, 1, 16, 16), 7.0), []
    kept = SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: clean))
    vae = SimpleNamespace(
        encode=lambda _: kept, decode=lambda z, return_dict: seen.append(z) or [torch.zeros(64, 3, 1, 128, 128)]
    )
    monkeypatch.setattr(session, "vae", vae)
    objective = decoder.Objective(session)
    objective.shape = (64, 8, 8)
    _, parts = objective({}, conditional=True)
    assert parts["error"] > 0
    noise = (seen[0] - clean)[:, :, 0]
    of_images = (noise / (session.std * flow.DEVIATION)).std((1, 2, 3))
    assert of_images.min() < 0.2 * decoder.NOISE
    assert 0.8 * decoder.NOISE < of_images.max() < 1.05 * decoder.NOISE
    of_channels = noise.std((0, 2, 3)) / session.std.flatten()
    torch.testing.assert_close(of_channels, of_channels.mean().expand(16), rtol=0.05, atol=0)


def test_only_the_decoder_learns_and_latents_keep_their_statistics(training, session, monkeypatch):
    decoder = training("decoder")
    convolution = autoencoder_kl_qwenimage.QwenImageCausalConv3d
    # undone after the test
    monkeypatch.setattr(convolution, "forward", convolution.forward)
    training("models").train_on_single_images()
    monkeypatch.setattr(decoder, "SHAPES", ((2, 4, 4),))
    before = AutoencoderKLQwenImage.from_pretrained(session.args.vae)
    decoder.train(session)
    after = AutoencoderKLQwenImage.from_pretrained(session.args.out / "vae")
    assert after.config.latents_std == before.config.latents_std
    assert after.config.latents_mean == before.config.latents_mean
    learned = {name for name, value in after.state_dict().items() if not torch.equal(value, before.state_dict()[name])}
    assert learned
    assert {name.split(".")[0] for name in learned} <= {"decoder", "post_quant_conv"}
    # what is stored is bf16
    assert all(torch.equal(value, value.bfloat16().float()) for value in after.state_dict().values())
