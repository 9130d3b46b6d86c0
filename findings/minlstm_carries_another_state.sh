#!/usr/bin/env bash
# minGRU-pytorch 0.2.1, torch 2.13.0, Python 3.11: a minLSTM that goes on from the state that it returned.
#
# minGRU and minLSTM read a sequence whole, in chunks that hand prev_hidden on, or step by step.
# Expected: the same outputs to rounding, for both, as both are the same recurrence however it is cut.
# Found: so it is for minGRU, and for minLSTM step by step. A minLSTM that reads a second chunk of more than one step goes
# on from prev_hidden + 0.5: the state is put through the function that makes candidates positive, which it already has
# been through. Nothing says so; the outputs are off by what the gates keep of a half, most at the chunk's beginning. A
# text read in windows with the state carried along is another text to it, by where the windows end.
#
# Output seen:
#   minGRU:  chunks differ from the whole by at most 0.0000, steps by 0.0000
#   minLSTM: chunks differ from the whole by at most 0.4856, steps by 0.0000
#   minLSTM: with that undone in prev_hidden beforehand, chunks differ by at most 0.0000
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet torch==2.13.0 minGRU-pytorch==0.2.1
cat >"$room/chunks.py" <<'PY'
import torch
from minGRU_pytorch.minGRU import minGRU
from minGRU_pytorch.minLSTM import minLSTM

torch.manual_seed(0)
x = 3 * torch.randn(1, 8, 16)


@torch.no_grad()
def apart(layer, size, undo=lambda state: state):
    """The largest difference between reading all at once and in chunks of a size."""
    state, outputs = None, []
    for chunk in x.split(size, dim=1):
        entering = None if state is None else undo(state)
        out, state = layer(chunk, prev_hidden=entering, return_next_prev_hidden=True)
        outputs.append(out)
    return float((torch.cat(outputs, dim=1) - layer(x)).abs().max())


gru, lstm = minGRU(16), minLSTM(16)
for name, layer in (("minGRU: ", gru), ("minLSTM:", lstm)):
    print(f"{name} chunks differ from the whole by at most {apart(layer, 4):.4f}, steps by {apart(layer, 1):.4f}")
undone = apart(lstm, 4, lambda state: torch.where(state >= 0.5, state - 0.5, state.logit()))
print(f"minLSTM: with that undone in prev_hidden beforehand, chunks differ by at most {undone:.4f}")
assert apart(gru, 4) < 1e-5 and apart(gru, 1) < 1e-5 and apart(lstm, 1) < 1e-5 and undone < 1e-5
assert apart(lstm, 4) > 0.1
PY
cd "$room"
"$room/venv/bin/python" chunks.py
