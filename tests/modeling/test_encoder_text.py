"""Text encoders, compared with transformers; freezing; errors."""

import pytest
import torch
from emofusion.configuration.configuration_checks import max_tokens
from emofusion.modeling.encoder_text import build_text_encoder, encode_tokens, freeze_text_layers
from emofusion.modeling.modeling_rows import Rows
from testing_common import BERT, DEBERTA, MODERNBERT, ROBERTA, VOCABULARY
from torch import nn
from torch.testing import assert_close
from transformers import AutoConfig

# DeBERTa-v2's default, with absolute positions.
DEBERTA_ABSOLUTE = DEBERTA | {"position_biased_input": True, "share_att_key": False, "norm_rel_ebd": "none"}
ENCODERS = {
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA | {"model_type": "xlm-roberta"},
    "deberta": DEBERTA,
    "deberta-absolute": DEBERTA_ABSOLUTE,
    "modernbert": MODERNBERT,
}
every_encoder = pytest.mark.parametrize("fields", ENCODERS.values(), ids=ENCODERS)


def build(fields: dict, **overrides):
    torch.manual_seed(0)
    encoder = build_text_encoder(AutoConfig.for_model(**fields | overrides)).eval()
    for module in encoder.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return encoder


def tokens(*lengths, width):
    ids = torch.randint(2, VOCABULARY, (len(lengths), width), generator=torch.Generator().manual_seed(0))
    return ids, Rows(lengths, ids.device)


@every_encoder
def test_states_equal_transformers_in_every_batch(fields):
    encoder, lengths = build(fields), (4, 9, 1, 25)
    for padding in (7, encoder.config.pad_token_id):
        ids, rows = tokens(*lengths, width=32)
        ids = ids.masked_fill(torch.arange(32) >= torch.tensor(lengths)[:, None], padding)
        states = rows.pad(encode_tokens(encoder, ids, rows)[0])
        assert states.isfinite().all()
        for row, length in enumerate(lengths):
            alone = encoder(input_ids=ids[row : row + 1, :length]).last_hidden_state[0]
            assert_close(states[row, :length], alone, atol=1e-5, rtol=0)


@every_encoder
def test_states_and_maps_are_returned_on_request(fields):
    encoder, (ids, rows) = build(fields), tokens(4, 9, width=9)
    encoder.set_attn_implementation("eager")
    states, hidden_states, attentions = encode_tokens(encoder, ids, rows, True, True)
    assert len(hidden_states) == 3
    assert torch.equal(hidden_states[-1], states)
    assert [maps.shape for maps in attentions] == [(2, 2, 9, 9)] * 2
    assert not any(maps[0, :, :4, 4:].any() for maps in attentions)
    assert encode_tokens(encoder, ids, rows)[1:] == ((), ())


@every_encoder
def test_all_parameters_below_frozen_layers_are_frozen(fields):
    ids, rows = tokens(4, 9, width=9)
    for count in (0, 1, 2, -1):
        encoder = build(fields)
        states, hidden_states, _ = encode_tokens(encoder, ids, rows, output_hidden_states=True)
        if count:
            (states if count in (2, -1) else hidden_states[count]).sum().backward()
        read = {name for name, p in encoder.named_parameters() if p.grad is not None}
        assert bool(read) == bool(count)
        encoder.train()
        freeze_text_layers(encoder, count)
        assert {name for name, p in encoder.named_parameters() if not p.requires_grad} == read
        # Dropout is off in frozen layers.
        states = [encode_tokens(encoder, ids, rows, output_hidden_states=True)[1][count or -1] for _ in range(2)]
        assert torch.equal(*states) == bool(count)


@pytest.mark.parametrize("fields", [BERT, ROBERTA | {"model_type": "roberta", "pad_token_id": 3}])
def test_max_tokens_is_number_of_positions(fields):
    encoder = build(fields)
    most = max_tokens(encoder.config)
    assert most == {"bert": 32, "roberta": 28}[fields["model_type"]]
    encode_tokens(encoder, *tokens(most, width=most))
    with pytest.raises((IndexError, RuntimeError)):
        encode_tokens(encoder, *tokens(most + 1, width=most + 1))


@every_encoder
def test_pooler_is_removed(fields):
    assert not any("pooler" in name for name in build(fields).state_dict())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": "gpt2", "n_layer": 1}, r"'gpt2'; choose one of bert, roberta, .*, modernbert\.$"),
        ({"model_type": "wav2vec2"}, r"'wav2vec2'; choose one of bert"),
        (BERT | {"is_decoder": True}, r"is_decoder=True, .*; set it to False\.$"),
        (MODERNBERT | {"pad_token_id": 50283}, r"pad_token_id=50283, which is not among its 50 token ids; set it to"),
        (ROBERTA | {"pad_token_id": None}, r"pad_token_id=None"),
    ],
)
def test_unsupported_configuration_is_refused(fields, message):
    with pytest.raises(ValueError, match=rf"^text_config .*{message}"):
        build(fields)
