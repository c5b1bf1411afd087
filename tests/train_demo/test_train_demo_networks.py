"""The networks in training do exactly what diffusers does with the weights afterwards."""

import numpy as np
import pytest
import torch
from train_demo import captions, networks
from train_demo import vae as vaes
from train_demo.from_pictures import given_mask
from train_demo.text import LENGTH, WIDTH, Reader, new_encoder

TEXTS = ["a red star moving up on a white background", "", "<unk> garden"]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("kind", ["wan21", "wan22"])
@pytest.mark.parametrize("frames", [1, 5, 17])
def test_a_vae_over_whole_clips_is_diffusers_vae(kind: str, frames: int) -> None:
    vae = vaes.new_vae(kind).eval()
    clips = torch.randn(1, 3, frames, 32, 64).clamp(-1, 1)
    with torch.no_grad():
        latents = vae.encode(clips).latent_dist.mean
        back = vae.decode(latents).sample
        vaes.over_whole_clips(vae)
        assert torch.allclose(vaes.encode(vae, clips), latents, atol=1e-5)
        assert torch.allclose(vaes.decode(vae, latents).clamp(-1, 1), back, atol=1e-5)


@pytest.mark.parametrize("kind", ["wan21", "wan22"])
def test_a_vae_without_memory_treats_a_single_frame_as_before(kind: str) -> None:
    vae = vaes.new_vae(kind).eval()
    picture = torch.randn(1, 3, 1, 32, 32)
    with torch.no_grad():
        before = vae.encode(picture).latent_dist.mean
        vaes.forget_time(vae)
        assert torch.allclose(vae.encode(picture).latent_dist.mean, before, atol=1e-6)


@pytest.mark.parametrize("kind", ["t2v", "i2v", "ti2v"])
def test_a_transformer_on_short_texts_is_diffusers_on_padded_ones(kind: str) -> None:
    transformer, encoder = networks.new_transformer(kind).eval(), new_encoder().eval()
    latents = torch.randn(len(TEXTS), networks.CHANNELS[kind][0], 3, 4, 6)
    times = torch.tensor([900.0, 500.0, 20.0])
    with torch.no_grad():
        text = Reader(encoder)(TEXTS)
        padded = torch.zeros(len(TEXTS), LENGTH, WIDTH)
        padded[:, : text.states.shape[1] - 1] = text.states[:, :-1]
        expected = transformer(latents, times, padded, return_dict=False)[0]
        networks.read_short_texts(transformer)
        assert torch.allclose(networks.velocity(transformer, latents, times, text), expected, atol=1e-5)


def test_a_widened_transformer_does_what_the_narrow_one_does() -> None:
    narrow = networks.new_transformer("t2v").eval()
    wide = networks.widened(narrow).eval()
    latents, padded = torch.randn(1, 36, 2, 4, 4), torch.randn(1, 8, WIDTH)
    with torch.no_grad():
        one = narrow(latents[:, :16], torch.tensor([300.0]), padded, return_dict=False)[0]
        other = wide(latents, torch.tensor([300.0]), padded, return_dict=False)[0]
    assert torch.allclose(one, other, atol=1e-6)


def test_a_difference_is_added_to_wider_weights_as_well() -> None:
    before, after = networks.new_transformer("t2v"), networks.new_transformer("t2v")
    wide = networks.widened(before)
    networks.add_difference(wide, before, after)
    expected = networks.widened(after).state_dict()
    for name, value in wide.state_dict().items():
        assert torch.allclose(value, expected[name], atol=1e-6), name


def test_the_mask_is_the_one_of_wans_image_pipeline() -> None:
    """Made as diffusers makes it, step by step, from a mask of pixel frames."""
    latents, frames = torch.zeros(2, 16, 5, 2, 2), 17
    expected = []
    for with_last in (False, True):
        pixel = torch.zeros(1, 1, frames, 2, 2)
        pixel[:, :, 0] = 1
        pixel[:, :, -1] = float(with_last)
        pixel = torch.cat([pixel[:, :, :1].repeat_interleave(4, 2), pixel[:, :, 1:]], 2)
        expected.append(pixel.view(1, -1, 4, 2, 2).transpose(1, 2))
    assert torch.equal(given_mask(latents, torch.tensor([False, True])), torch.cat(expected))


def test_padding_counts_as_many_tokens_as_it_stands_for() -> None:
    text = Reader(new_encoder().eval())(TEXTS)
    lengths = [len(captions.tokenizer()(each).input_ids) for each in TEXTS]
    assert np.allclose(text.bias[:, 0, 0, -1].exp(), [LENGTH - length for length in lengths])
