"""The language model against torch.nn, and the laws of reading in windows."""

import math

import pytest
import torch
from torch.nn import functional

from gnnseq.models.language_model import LanguageModel, score

V = 7
KINDS = ["RNN", "LSTM", "GRU"]


def model(kind="LSTM", embedding=0, **options):
    return LanguageModel(V, 6, kind, layers=2, embedding=embedding, **options).double()


@pytest.mark.parametrize("embedding", [0, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_torchs_stack_with_a_readout(kind, embedding):
    ours = model(kind, embedding, dropout=0.5).eval()
    peer = getattr(torch.nn, kind)(embedding or V, 6, 2).double()
    peer.load_state_dict(ours.layer.state_dict())
    characters = torch.randint(V, (9, 4))
    dense = functional.one_hot(characters, V).double() if embedding == 0 else ours.embedding(characters)
    h, last = peer(dense)
    logits, state = ours(characters)
    torch.testing.assert_close(logits, ours.readout(h), rtol=1e-12, atol=1e-12)
    pairs = zip(state, last, strict=True) if kind == "LSTM" else [(state, last)]
    for found, expected in pairs:
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_two_windows_with_the_state_carried_are_one_long_window(kind):
    ours = model(kind).eval()
    characters = torch.randint(V, (12, 3))
    whole, _ = ours(characters)
    first, state = ours(characters[:5])
    second, _ = ours(characters[5:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-12, atol=1e-12)


def test_a_character_changes_nothing_before_it_and_nothing_on_other_paths():
    ours = model().eval()
    characters = torch.randint(V, (8, 3))
    changed = characters.clone()
    changed[4, 1] = (changed[4, 1] + 1) % V
    moved = (ours(characters)[0] != ours(changed)[0]).any(2)  # [T, B]
    assert moved.nonzero().tolist() == [[step, 1] for step in range(4, 8)]


def test_dropout_is_after_the_last_layer_too():
    ours = LanguageModel(V, 50, dropout=0.9).double()
    ours.readout.weight.data.fill_(1.0)
    ours.readout.bias.data.zero_()
    characters = torch.randint(V, (5, 2))
    assert not torch.equal(ours(characters)[0], ours(characters)[0])
    ours.eval()
    assert torch.equal(ours(characters)[0], ours(characters)[0])


@pytest.mark.parametrize("batch", [1, 3])
def test_a_score_is_the_mean_over_stretches(batch):
    ours = model(dropout=0.5).train()
    text = torch.randint(V, (50,))
    found = score(ours, text, batch=batch, length=7)
    assert ours.training
    ours.eval()
    stretch = 49 // batch
    losses, right = [], []
    for number in range(batch):
        part = text[number * stretch : (number + 1) * stretch + 1]
        logits = ours(part[:-1].unsqueeze(1))[0].squeeze(1)
        losses += functional.cross_entropy(logits, part[1:], reduction="none").tolist()
        right += (logits.argmax(1) == part[1:]).tolist()
    assert found.loss == pytest.approx(sum(losses) / len(losses), rel=1e-12)
    assert found.accuracy == sum(right) / len(right)


def test_a_model_that_knows_nothing_scores_log_v():
    ours = model()
    for parameter in ours.readout.parameters():
        parameter.data.zero_()
    assert score(ours, torch.randint(V, (100,))).loss == pytest.approx(math.log(V))


def test_samples_and_beams_are_of_this_model():
    ours = model(embedding=3).eval()
    prompt = [1, 2, 3]
    greedy = list(ours.sample(5, prompt=prompt, temperature=0))
    (beam,) = ours.beam_search(5, prompt, beams=1)
    assert beam.characters == greedy
    logits, _ = ours(torch.tensor([*prompt, *greedy]).unsqueeze(1))
    assert logits[2:-1, 0].argmax(1).tolist() == greedy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "CNN"}, "kind='CNN'; expected one of 'RNN', 'LSTM', 'GRU'"),
        ({"vocabulary": 0}, "vocabulary=0; expected an integer of 1"),
        ({"embedding": -1}, "embedding=-1; expected an integer of 0"),
        ({"dropout": 2.0}, "dropout=2.0; expected a probability"),
    ],
)
def test_errors_name_the_argument(change, message):
    with pytest.raises(ValueError, match=message):
        LanguageModel(**{"vocabulary": V, "hidden": 6, **change})


def test_one_character_cannot_be_scored():
    with pytest.raises(ValueError, match="text has 1 characters; expected at least 2"):
        score(model(), torch.zeros(1, dtype=torch.long))
