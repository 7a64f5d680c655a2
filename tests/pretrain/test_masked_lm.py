import torch

from pretrain.masked_lm import VOCABULARY_INDEXED, MaskedLM


def test_head_on_positions_equals_head_everywhere(model):
    block = torch.tensor([[0, 9, 8, 7, 2], [0, 4, 5, 6, 2]])
    everywhere = model(block)
    some = model(block, torch.tensor([1, 7]))
    assert torch.allclose(some, everywhere.view(-1, everywhere.size(-1))[[1, 7]], atol=1e-6)


def test_output_matrix_is_the_embedding_itself(model):
    block = torch.tensor([[0, 9, 8, 7, 2]])
    before = model(block)
    with torch.no_grad():
        model.encoder.embed_tokens.weight[40, 0] += 1.0
    after = model(block)
    changed = (before - after).abs().amax(dim=(0, 1)) > 1e-6
    assert changed.nonzero().flatten().tolist() == [40]


def test_exactly_two_tensors_are_indexed_by_the_vocabulary(tiny):
    size = 97
    state = MaskedLM(tiny, size).state_dict()
    assert {name for name, tensor in state.items() if size in tensor.shape} == set(VOCABULARY_INDEXED)


def test_narrow_embedding_keeps_one_tied_table(tiny):
    from dataclasses import replace

    model = MaskedLM(replace(tiny, embedding_width=8), 97)
    assert model(torch.tensor([[0, 5, 2]])).shape == (1, 3, 97)
