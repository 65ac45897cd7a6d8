"""Vision encoders, compared with transformers frame by frame."""

import pytest
import torch
from emofusion.configuration.encoder_fields import vision_hidden_size
from emofusion.modeling.encoder_vision import build_vision_encoder, encode_video
from emofusion.modeling.modeling_rows import Rows
from testing_common import BERT, WIDE
from testing_rows import rows_of
from torch import nn
from torch.testing import assert_close
from transformers import AutoConfig, AutoModel

LAYERS = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
    "initializer_range": WIDE,
}
STAGES = {"hidden_sizes": [8, 12], "depths": [1, 1], "initializer_range": WIDE}
EFFICIENTNET = {
    "model_type": "efficientnet",
    "width_coefficient": 0.05,
    "depth_coefficient": 0.1,
    "hidden_dim": 64,
    "image_size": 32,
    "initializer_range": 0.5,
}
# Encoders with a pooled output, and encoders without one that checkpoints have weights for.
POOLED = {
    "efficientnet": EFFICIENTNET,
    "resnet": {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 12], "depths": [1, 1]},
    "convnext": STAGES | {"model_type": "convnext", "num_stages": 2, "layer_scale_init_value": 1.0},
    "dinov2": LAYERS | {"model_type": "dinov2", "layerscale_value": 1.0},
    "clip": LAYERS | {"model_type": "clip_vision_model", "intermediate_size": 32},
    "swin": {"model_type": "swin", "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "image_size": 16}
    | {"patch_size": 2, "window_size": 2},
}
UNPOOLED = {
    "vit": LAYERS | {"model_type": "vit", "intermediate_size": 32},
    "deit": LAYERS | {"model_type": "deit", "intermediate_size": 32},
    "segformer": {"model_type": "segformer", "hidden_sizes": [8, 8, 8, 12], "depths": [1] * 4}
    | {"num_attention_heads": [1, 1, 2, 2]},
}
ENCODERS = POOLED | UNPOOLED
every_encoder = pytest.mark.parametrize("name", ENCODERS)


def build(name):
    torch.manual_seed(0)
    return build_vision_encoder(AutoConfig.for_model(**ENCODERS[name])).eval()


def videos(name, lengths=(3, 1, 0, 2)):
    """Return noise and a mask; a length of 0 is a row without video."""
    side = 32 if name in ("efficientnet", "segformer") else 16
    torch.manual_seed(1)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return torch.randn(*mask.shape, 3, side, side), mask


@every_encoder
@torch.no_grad()
def test_frame_vector_equals_transformers(name):
    encoder, (pixels, mask) = build(name), videos(name)
    states = encode_video(encoder, pixels, rows_of(mask))
    assert states.shape == (4, 3, vision_hidden_size(encoder.config))
    assert states.std(dim=-1)[mask].min() > 0
    for row, frame in mask.nonzero():
        outputs = encoder(pixel_values=pixels[row, frame][None])
        if name in POOLED:
            expected = outputs.pooler_output.flatten()
        else:
            last = outputs.last_hidden_state[0]
            expected = last.mean(dim=0) if last.dim() == 2 else last.mean(dim=(1, 2))
        assert_close(states[row, frame], expected, atol=1e-5, rtol=1e-5)
    assert not states[~mask].any()


@every_encoder
@torch.no_grad()
def test_padding_and_other_rows_never_change_frame(name):
    encoder, (pixels, mask) = build(name), videos(name)
    states = encode_video(encoder, pixels, rows_of(mask))
    pixels[~mask] = torch.nan
    assert_close(encode_video(encoder, pixels, rows_of(mask)), states, atol=0, rtol=0)
    for row, length in enumerate(mask.sum(dim=1).tolist()):
        alone = encode_video(encoder, pixels[row : row + 1, :length], Rows((length,), pixels.device))
        assert_close(alone[0, :length], states[row, :length], atol=1e-5, rtol=1e-5)


def test_padding_is_never_computed(monkeypatch):
    encoder, (pixels, mask) = build("resnet"), videos("resnet")
    seen = []
    encoder.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(len(kwargs["pixel_values"])), with_kwargs=True
    )
    encode_video(encoder, pixels, rows_of(mask))
    assert seen == [6]
    assert encode_video(encoder, pixels, Rows((0,) * 4, pixels.device)).tolist() == torch.zeros(4, 1, 12).tolist()
    assert seen == [6]


@pytest.mark.parametrize("name", ["vit", "resnet"])
def test_every_weight_of_trainable_encoder_gets_gradient(name):
    encoder, (pixels, mask) = build(name), videos(name)
    encode_video(encoder, pixels, rows_of(mask))[mask].pow(3).sum().backward()
    unused = {key for key, weight in encoder.named_parameters() if weight.grad is None}
    assert not unused - {"embeddings.mask_token"}


def test_dense_pooler_is_dropped_and_others_are_kept():
    assert not [key for name in UNPOOLED for key in build(name).state_dict() if key.startswith("pooler")]
    assert isinstance(build("resnet").pooler, nn.AdaptiveAvgPool2d)


UNSUITABLE = {
    "bert": (BERT, "'bert', which does not take images"),
    "clip": ({"model_type": "clip"}, "'clip', which does not take images"),
    "videomae": (LAYERS | {"model_type": "videomae", "intermediate_size": 32}, "'videomae', which takes whole videos"),
    "vit_mae": (LAYERS | {"model_type": "vit_mae", "intermediate_size": 32}, "'vit_mae', which hides a random part"),
    "mobilenet_v2": (
        {"model_type": "mobilenet_v2", "depth_multiplier": 0.1},
        "does not give the width of its vectors",
    ),
}


@pytest.mark.parametrize("name", UNSUITABLE)
def test_unsuitable_encoder_is_refused(name):
    fields, message = UNSUITABLE[name]
    with torch.device("meta"), pytest.raises(ValueError, match=f"vision_config names the model_type .*{message}"):
        build_vision_encoder(AutoConfig.for_model(**fields))


def test_unexpected_vector_width_is_refused():
    config = AutoConfig.for_model("mobilevit", hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 8, 16, 16, 16, 48])
    encoder = build_vision_encoder(config).eval()
    with pytest.raises(
        ValueError, match=r"'mobilevit', whose vectors have 48 numbers, but its configuration gives 32"
    ):
        encode_video(encoder, torch.randn(1, 1, 3, 64, 64), Rows((1,), torch.device("cpu")))


def test_saved_weights_are_loaded(tmp_path):
    encoder, (pixels, mask) = build("vit"), videos("vit")
    AutoModel.from_config(encoder.config).save_pretrained(tmp_path)  # with a pooler, as in some checkpoints
    loaded = AutoModel.from_pretrained(tmp_path)
    encoder.load_state_dict(loaded.state_dict(), strict=False)
    expected = loaded.eval()(pixel_values=pixels[0]).last_hidden_state.mean(dim=1)
    assert_close(encode_video(encoder, pixels, rows_of(mask))[0], expected)


@every_encoder
@pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")
def test_float32_frames_reach_encoders_in_half_precision(name):
    (pixels, mask), encoder = videos(name), build(name)
    exact = encode_video(encoder, pixels, rows_of(mask))
    for half in (torch.float16, torch.bfloat16):
        # oneDNN's bfloat16 convolution is wrong on some CPUs for few channels per group.
        with torch.backends.mkldnn.flags(enabled=False):
            states = encode_video(encoder.to(half), pixels, rows_of(mask))
        assert states.dtype == encode_video(encoder, pixels, Rows((0,) * 4, pixels.device)).dtype == half
        assert_close(states.float(), exact, atol=0.1 * exact.abs().max().item() + 1e-5, rtol=0)
