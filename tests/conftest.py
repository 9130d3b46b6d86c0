"""What every test shares: repeatable randomness and one thread."""

import hypothesis
import pytest
import torch

# The same examples on every machine and every run: a red test stays red until somebody fixes it. No deadline, because
# the first example pays for imports and warm-up.
hypothesis.settings.register_profile("gnnseq", derandomize=True, max_examples=30, deadline=None, print_blob=True)
hypothesis.settings.load_profile("gnnseq")

# Small tensors gain nothing from threads, and sums in a fixed order are the same on every machine.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
