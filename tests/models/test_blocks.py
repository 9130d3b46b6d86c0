"""Residual blocks against the equations step by step, and the laws of going on from a state."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from gnnseq.layers.cells import CELLS
from gnnseq.models import LanguageModel, LockedDropout, RecurrentBlocks
from gnnseq.sampling import sample

C, V = 6, 7
KINDS = pytest.mark.parametrize("kind", list(CELLS))
WIDTHS = pytest.mark.parametrize("expansion", [1, 3])


def blocks(kind="MinGRU", **options):
    """With weights of the input before, which begin at zero."""
    torch.manual_seed(0)
    made = RecurrentBlocks(C, kind, **{"num_layers": 2, **options}).double()
    for block in made.blocks:
        nn.init.normal_(block.earlier)
    return made


def by_steps(made, x):
    """One step at a time, each with all the inputs before it at hand."""
    for block in made.blocks:
        u = functional.layer_norm(x, (C,))
        state, outputs = None, []
        for t in range(len(x)):
            v = u[t] + block.earlier * u[t - 1] if t > 0 else u[t]
            h, state = block.layer(v.unsqueeze(0), state)
            outputs.append(x[t] + (h[0] * functional.silu(block.gate(v))) @ block.project.weight.t())
        x = torch.stack(outputs)
    return functional.layer_norm(x, (C,))


@KINDS
@WIDTHS
def test_they_are_the_equations(kind, expansion):
    made, x = blocks(kind, expansion=expansion), torch.randn(9, 4, C, dtype=torch.float64)
    torch.testing.assert_close(made(x)[0], by_steps(made, x), rtol=1e-10, atol=1e-10)


@KINDS
@WIDTHS
@pytest.mark.parametrize("cut", [1, 2, 5])
def test_windows_with_the_state_carried_are_one_long_window(kind, expansion, cut):
    made, x = blocks(kind, expansion=expansion), torch.randn(9, 4, C, dtype=torch.float64)
    whole, last = made(x)
    first, state = made(x[:cut])
    second, state = made(x[cut:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-10, atol=1e-10)
    for found, expected in zip(state, last, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@KINDS
def test_no_step_sees_a_later_one_or_another_path(kind):
    made, x = blocks(kind), torch.randn(8, 3, C, dtype=torch.float64)
    changed = x.clone()
    changed[4, 1, 0] += 1.0
    moved = (made(x)[0] - made(changed)[0]).abs().amax(2) > 1e-12
    assert moved.nonzero().tolist() == [[step, 1] for step in range(4, 8)]


@KINDS
def test_no_steps_leave_the_state_as_it_is(kind):
    made = blocks(kind)
    _, state = made(torch.randn(3, 4, C, dtype=torch.float64))
    outputs, last = made(torch.zeros(0, 4, C, dtype=torch.float64), state)
    assert outputs.shape == (0, 4, C)
    assert all(map(torch.equal, last, state))


def test_dropout_takes_the_same_channels_at_all_steps():
    torch.manual_seed(0)
    dropped = LockedDropout(0.25)(torch.ones(5, 100, 40))
    assert (dropped == dropped[0]).all()
    assert set(dropped.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert abs(float((dropped == 0).float().mean()) - 0.25) < 0.03  # 4,000 draws have a deviation of .007
    assert torch.equal(LockedDropout(1.0)(torch.ones(2, 2, 2)), torch.zeros(2, 2, 2))
    model = LanguageModel(V, C, "MinGRU", dropout=0.5, residual=True)
    characters = torch.randint(V, (5, 2))
    assert not torch.equal(model(characters)[0], model(characters)[0])
    assert torch.equal(model.eval()(characters)[0], model(characters)[0])


@KINDS
def test_a_language_model_writes_what_it_reads(kind):
    """The likeliest characters one after another, and as beams, are those of reading them all at once."""
    model = LanguageModel(V, C, kind, layers=2, residual=True, expansion=2).eval()
    nn.init.normal_(model.readout.weight, std=2.0)
    written = list(model.sample(12, prompt=[1, 2], temperature=0))
    text = torch.tensor([1, 2, *written]).unsqueeze(1)
    logits, _ = model(text[:-1])
    assert logits[1:, 0].argmax(1).tolist() == written
    (greedy,) = model.beam_search(12, [1, 2], beams=1)
    assert greedy.characters == written
    best, *_ = model.beam_search(3, [1, 2], beams=V**2)  # all strings, so that beams are picked from others
    chances = {}
    for number in range(V**3):
        string = [number // V**2, number // V % V, number % V]
        logits, _ = model(torch.tensor([1, 2, *string[:-1]]).unsqueeze(1))
        chances[tuple(string)] = float(logits[1:, 0].double().log_softmax(1)[range(3), string].sum().detach())
    assert tuple(best.characters) == max(chances, key=chances.get)
    assert best.log_probability == pytest.approx(max(chances.values()), abs=1e-5)


@KINDS
def test_autocast_leaves_them_states_of_their_own_type(kind):
    made, x = blocks(kind).float(), torch.randn(3, 4, C)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, state = made(x.bfloat16())
        made(x.bfloat16(), state)
    assert {part.dtype for part in state} == {torch.float32}
    torch.testing.assert_close(outputs.float(), made(x)[0], rtol=0.1, atol=0.1)


def test_what_is_refused():
    made = blocks()
    with pytest.raises(ValueError, match=r"x has shape \[9, 4\]; expected \[T, B, 6\]"):
        made(torch.randn(9, 4, dtype=torch.float64))
    _, state = made(torch.randn(3, 2, C, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"state is \[2, 2, 6\], \[2, 2, 6\]; expected \[2, 4, 6\], \[2, 4, 6\]"):
        made(torch.randn(3, 4, C, dtype=torch.float64), state)
    with pytest.raises(ValueError, match=r"state has type torch\.float32 and the parameters torch\.float64"):
        made(torch.randn(3, 2, C, dtype=torch.float64), [part.float() for part in state])
    with pytest.raises(ValueError, match="state is str; expected"):
        made(torch.randn(3, 2, C, dtype=torch.float64), "hc")
    for wrong, named in ((3, "int"), ((), "no parts")):
        with pytest.raises(ValueError, match=f"state is {named}; expected"):
            made(torch.randn(3, 2, C, dtype=torch.float64), wrong)
    with pytest.raises(ValueError, match="x is a list"):
        made([[1.0]])
    with pytest.raises(ValueError, match="embedding=5; expected 6 or 0"):
        LanguageModel(V, C, residual=True, embedding=5)
    with pytest.raises(ValueError, match="expansion=2 and residual=False; expected 1"):
        LanguageModel(V, C, expansion=2)
    with pytest.raises(ValueError, match="expansion=0; expected"):
        RecurrentBlocks(C, expansion=0)
    with pytest.raises(ValueError, match="residual='no'; expected True or False"):
        LanguageModel(V, C, residual="no")
    with pytest.raises(ValueError, match=r"embedding has shape \[7, 5\]; expected \[V, 6\]"):
        sample(made, nn.Linear(C, V), 3, embedding=nn.Embedding(V, 5))
    with pytest.raises(ValueError, match="p=2"):
        LockedDropout(2)
