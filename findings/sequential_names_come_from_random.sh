#!/usr/bin/env bash
# torch_geometric 2.8.1, torch 2.13.0, Python 3.11: two different Sequentials made after the same random.seed().
#
# torch_geometric.nn.Sequential writes its forward() as a module of Python, made from a template.
# Expected: every Sequential runs its own children, whatever Python's random numbers are.
# Found: the module's name is drawn from Python's `random`, and a module of that name that is loaded already is taken as it
# is. So after the same seed, as where each model of a comparison is made after random.seed(0), the second Sequential gets
# the first one's forward(). Nothing is raised where its calls fit the second one's children: here the second model has a
# skip connection, which is left out without a word, though the printed model lists it. Where they do not fit, it is a
# TypeError about forward(). Without seeding, or with another seed for each, both are right.
#
# Output seen:
#   seeds 0 and 1: the second model equals what it says
#   seeds 2 and 2: the second model equals two bare layers
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet torch==2.13.0 torch_geometric==2.8.1
cat >"$room/models.py" <<'PY'
import random
import warnings

warnings.filterwarnings("ignore")
import torch
from torch_geometric.nn import GCNConv, Sequential

edges, x = torch.tensor([[0, 1, 2, 1, 2, 3], [1, 2, 3, 0, 1, 2]]), torch.randn(4, 5)
said = []
for first_seed, second_seed in ((0, 1), (2, 2)):
    random.seed(first_seed)
    Sequential("x, edge_index", [(GCNConv(5, 5), "x, edge_index -> x"), (GCNConv(5, 5), "x, edge_index -> x")])
    random.seed(second_seed)
    one, two = GCNConv(5, 5), GCNConv(5, 5)
    model = Sequential(
        "x, edge_index",
        [
            (one, "x, edge_index -> h"),
            (two, "h, edge_index -> y"),
            (lambda x, y: x + y, "x, y -> y"),
        ],
    )
    meant, bare = x + two(one(x, edges), edges), two(one(x, edges), edges)
    found = model(x, edges)
    said.append([name for name, value in (("what it says", meant), ("two bare layers", bare)) if torch.allclose(found, value)])
    print(f"seeds {first_seed} and {second_seed}: the second model equals {said[-1][0]}")
raise SystemExit(said != [["what it says"], ["two bare layers"]])
PY
"$room/venv/bin/python" "$room/models.py"
