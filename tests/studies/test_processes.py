"""Two processes that train together do what one does: gradients, metrics, samples and files, whatever the shares are.

The processes are forked twice for the whole module, because new ones would first import torch and lightning.
"""

import dataclasses
import io
import multiprocessing
import os
import signal
import socket
import time
import traceback

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from rich.console import Console
from torch.utils.data import DataLoader, TensorDataset

from gnnseq.data.stocks.market import make_market
from gnnseq.data.stocks.samples import leak_free
from gnnseq.data.text import Corpus
from harness import processes
from harness.lightning_fit import fit
from harness.sweep import run_sweep
from studies.char_lm import learner as language_learner
from studies.char_lm.runs import LanguageTraining
from studies.char_lm.training import read_checkpoint, train
from studies.forecasting import fit as epidemics
from studies.forecasting.runs import MODELS, ForecastRun
from studies.large_graph.batches import sample_loader
from studies.large_graph.fit import fit as fit_large
from studies.large_graph.fit import train as train_large
from studies.large_graph.graph import LargeGraph
from studies.large_graph.planted import planted
from studies.large_graph.runs import LargeRun
from studies.stocks.networks import DayWindows, StockLearner, learn
from studies.stocks.runs import NETWORKS, StockTraining

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # one thread here

CORPUS = Corpus.of("The quick brown fox jumps over the lazy dog, and the dog does not mind. " * 20)
TEXT = LanguageTraining(
    hidden=8, layers=2, dropout=0.0, window=6, batch=5, steps=6, learning_rate=1e-2, clip=1.0, record_every=2,
    validate_every=3,
    sample_at=(),
)  # fmt: skip


class Regression(pl.LightningModule):
    """Least squares of a batch, of which each process has its share."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([0.5, -0.25], dtype=torch.float64))
        self.seen = []
        self.gradients = []

    def training_step(self, batch):
        x, y, number = batch
        self.seen.append(number.tolist())
        of_all = processes.sum_of_all(torch.tensor(len(x)))
        loss = processes.mean_of_all((x @ self.weight - y).square().sum(), of_all)
        self.log("training", loss.detach(), on_step=False, on_epoch=True, batch_size=1)
        return loss

    def validation_step(self, batch):
        self.log("validation", (batch[0] @ self.weight - batch[1]).square().mean())

    def on_before_optimizer_step(self, optimizer):
        self.gradients.append(self.weight.grad.tolist())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05)


def regression(count, batch):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 2, generator=generator, dtype=torch.float64)
    data = TensorDataset(x, x[:, 0] - 2 * x[:, 1] + 1, torch.arange(count))
    sampler = processes.ShareSampler(count, batch, seed=1)
    module = Regression()
    fitted = fit(
        module, DataLoader(data, sampler=sampler, batch_size=None), DataLoader(data, count), max_epochs=2, seed=0
    )
    return {"seen": module.seen, "gradients": module.gradients, "fitted": fitted}


def language(batch, folder, **changes):
    """Weights after six steps, what was recorded, and the files of this process' folder."""
    result = train(dataclasses.replace(TEXT, batch=batch, **changes), CORPUS, folder, save_every=3)
    weights = read_checkpoint(folder / "last.ckpt")["state_dict"] if processes.is_first() else {}
    for part in ("curves", "validation"):
        del result[part]["seconds"], result[part]["cpu_seconds"]
    files = [path.name for path in folder.rglob("*") if path.is_file()]
    return {"weights": {name: weight.tolist() for name, weight in weights.items()}, "result": result, "files": files}


def market():
    drawn = make_market(stocks=8, days=200, leaders=2, seed=0)
    return leak_free(drawn.panel), drawn.relations


def stock_gradients(name):
    """Of a step of two windows, or of one, which leaves a process nothing to do."""
    samples, relations = market()
    found = []
    for count in (2 if name == "LSTM+GCN" else 1,):
        learner = StockLearner(name, samples, relations, StockTraining(hidden=4, window=8, batch=2), 0)
        windows = list(DayWindows(samples.train, 8))[3 : 3 + count]
        grabbed = {}
        learner.on_before_optimizer_step = lambda optimizer, of=learner, into=grabbed: into.update(
            {key: each.grad.tolist() for key, each in of.named_parameters()}
        )
        fit(learner, [windows], None, max_epochs=1, seed=0)
        found.append(grabbed)
    return found


def stock_forecast():
    samples, relations = market()
    training = StockTraining(hidden=4, window=8, max_epochs=2, batch=2)
    forecast = learn("LSTM+GCN", samples, relations, training, 0)
    return {"p": forecast.p.tolist(), "ic": forecast.validation_ic, "about": forecast.about}


def epidemic_weights(model, stop, **changes):
    """After three steps on the windows before ``stop``."""
    run = ForecastRun("planted", model, 0, path=4, neighbours=True, hidden=3, max_epochs=3, **changes)
    *_, network = epidemics._epochs(run, epidemics._epidemic("planted", "training"), stop)
    return {name: weight.tolist() for name, weight in network.state_dict().items()}


def large_graph(folder):
    """Weights after steps whose last has a share of nothing, scores, and whose seeds were drawn."""
    folder = folder / f"graph-{processes.rank()}"
    planted(folder, 300, 3000)
    graph = LargeGraph.load(folder)
    run = LargeRun("samples", 0, "", 8, 2, len(graph.nodes(0)) - 1, (-1, -1), 6, learning_rate=1.0)
    found = {}
    for method in ("samples", "no edges"):
        torch.manual_seed(0)
        net, _, _ = train_large(dataclasses.replace(run, method=method), graph)
        found[method] = [parameter.tolist() for layer in net for parameter in layer.parameters()]
    scored = fit_large(run, folder)
    torch.manual_seed(0)
    seeds = [batch.n_id[: batch.batch_size].tolist() for batch in sample_loader(graph, run)]
    return {"weights": found, "scores": [scored["validation"], scored["test"]], "seeds": seeds}


@dataclasses.dataclass(frozen=True)
class Task:
    number: int


def sweep(folder):
    """Records, where the processes find different folders."""
    own = folder / f"of-process-{processes.rank()}"
    done = []

    def task(settings):
        done.append(settings.number)
        return int(processes.sum_of_all(torch.tensor(settings.number)))

    tasks = [Task(number) for number in range(3)]
    records = run_sweep(
        task, tasks, own, jobs=2, seconds=lambda each: each.number * (-1.0) ** processes.rank(), console=quiet()
    )
    return {"results": [record["result"] for record in records], "done": sorted(done), "wrote": own.exists()}


def quiet():
    return Console(file=io.StringIO())


class Uneven(Regression):
    def training_step(self, batch):
        return self.weight.sum()


def uneven():
    try:
        fit(Uneven(), [0] * (3 - processes.rank()), None, max_epochs=1, seed=0)
    except ValueError as error:
        return str(error)


def plain_loader():
    try:
        fit(Regression(), DataLoader(TensorDataset(torch.zeros(4, 2))), None, max_epochs=1, seed=0)
    except ValueError as error:
        return str(error)


def disagreement():
    """A metric that each process computes otherwise; all follow the first."""

    class Own(Regression):
        def validation_step(self, batch):
            better = self.current_epoch if processes.is_first() else -self.current_epoch
            self.log("validation", torch.tensor(float(better)))

    loader = [(torch.ones(1, 2, dtype=torch.float64), torch.ones(1), torch.tensor([0]))]
    return fit(Own(), loader, loader, max_epochs=5, patience=2, seed=0)["best_epoch"]


def descent(parameters, lr, **options):
    """In place of Adam, whose first steps make a sign of a gradient, also where it is rounding alone."""
    return torch.optim.SGD(parameters, lr)


def everything(folder):
    """All that the tests ask of this process, alone or with another one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "Adam", descent)
        patch.setattr(torch.optim, "AdamW", descent)
        found = _everything(folder)
    return found | ({"straight": straight(folder / "straight")} if processes.size() > 1 else {})


def _everything(folder):
    found = {
        "regression": regression(11, 4),
        "empty": regression(5, 1),
        "text": language(5, folder / "five"),
        "one window": language(1, folder / "one", steps=3, random_windows=True, kind="GRU"),
        "stocks": {name: stock_gradients(name) for name in NETWORKS},
        "stock forecast": stock_forecast(),
        "epidemics": {model: epidemic_weights(model, 21) for model in MODELS[1:]},
        "one origin": epidemic_weights("space_time", 5, horizons=(1,)),
        "large graph": large_graph(folder),
        "sweep": sweep(folder),
        "parts": [processes.share(count) for count in range(6)],
    }
    if processes.size() > 1:
        found |= {"uneven": uneven(), "plain loader": plain_loader(), "disagreement": disagreement()}
    return found


def member(number, port, pipe, function, *arguments):
    """One of two processes."""
    os.environ |= {"RANK": str(number), "WORLD_SIZE": "2", "LOCAL_RANK": str(number), "NODE_RANK": "0",
                   "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}  # fmt: skip
    torch.set_num_threads(1)
    try:
        processes.join()
        pipe.send(function(*arguments))
    except BaseException:
        pipe.send(traceback.format_exc())
    os._exit(0)


def two(function, *arguments):
    """What both return."""
    fork = multiprocessing.get_context("fork")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    pipes = [fork.Pipe() for _ in range(2)]
    both = [
        fork.Process(target=member, args=[number, port, there, function, *arguments])
        for number, (_, there) in enumerate(pipes)
    ]
    for each in both:
        each.start()
    answers = [answer(each, here) for each, (here, _) in zip(both, pipes, strict=True)]
    for each in both:
        each.kill()
        each.join()
    return answers


def answer(process, pipe):
    """What a process has sent, or the signal that has ended it."""
    limit = time.monotonic() + 100
    while not pipe.poll(0.05):
        if not process.is_alive() and not pipe.poll():
            return process.exitcode
        assert time.monotonic() < limit, "a process waits for the other, or for what a fork has left locked"
    found = pipe.recv()
    assert not isinstance(found, str), found
    return found


@pytest.fixture(scope="module", autouse=True)
def _short_samples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language_learner, "LENGTHS", (2,))
        yield


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return two(everything, tmp_path_factory.mktemp("two"))
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def of_one(tmp_path_factory):
    return everything(tmp_path_factory.mktemp("one"))


def close(one, other, tolerance=1e-6):
    """Equal, but for rounding."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            close(one[name], other[name], tolerance)
    elif one is None or isinstance(one, str):
        assert one == other
    else:
        np.testing.assert_allclose(np.array(one), np.array(other), rtol=0, atol=tolerance)


@pytest.mark.parametrize("case", ["regression", "empty"])
def test_gradients_and_metrics_are_those_of_one_process(case, of_one, of_two):
    """Eleven samples in batches of four: the last step's shares are two and one; batches of one leave a share empty."""
    for each in of_two:
        close(each[case]["gradients"], of_one[case]["gradients"], 1e-12)
        close(each[case]["fitted"]["curves"], of_one[case]["fitted"]["curves"], 1e-12)


@pytest.mark.parametrize("case", ["regression", "empty"])
def test_samples_are_disjoint_and_all(case, of_one, of_two):
    steps = list(zip(of_one[case]["seen"], *(each[case]["seen"] for each in of_two), strict=True))
    assert all(whole == first + second for whole, first, second in steps)
    epoch = [sample for whole, *_ in steps[: len(steps) // 2] for sample in whole]
    assert sorted(epoch) == list(range(11 if case == "regression" else 5))


@pytest.mark.parametrize("case", ["text", "one window"])
def test_a_language_model_learns_as_in_one_process(case, of_one, of_two):
    first, _ = of_two
    close(first[case]["weights"], of_one[case]["weights"])
    for each in of_two:
        close(each[case]["result"], of_one[case]["result"], 1e-5)
    assert {"last.ckpt", "best.ckpt", "metrics.csv"} <= set(first[case]["files"])
    assert sorted(first[case]["files"]).count("last.ckpt") == 1


def test_stocks_learn_as_in_one_process(of_one, of_two):
    for each in of_two:
        for name in NETWORKS:
            for found, expected in zip(each["stocks"][name], of_one["stocks"][name], strict=True):
                close(found, expected)
        close(each["stock forecast"], of_one["stock forecast"], 1e-5)


def test_epidemics_are_learnt_as_in_one_process(of_one, of_two):
    for each in of_two:
        close(each["epidemics"], of_one["epidemics"])
        close(each["one origin"], of_one["one origin"])


def test_a_large_graph_is_learnt_as_in_one_process(of_one, of_two):
    one, (first, second) = of_one["large graph"], (each["large graph"] for each in of_two)
    for each in (first, second):
        assert each["weights"] == first["weights"]
        for method, weights in one["weights"].items():
            for found, expected in zip(each["weights"][method], weights, strict=True):
                close(found, expected)
        close(each["scores"], one["scores"], 0.01)
    whole, alone = one["seeds"]
    assert first["seeds"][0] + second["seeds"][0] == whole  # disjoint, and all
    assert first["seeds"][1] == second["seeds"][1] == alone  # the first one's counts for nothing: its share is empty


def test_a_sweep_is_done_together_and_written_once(of_two):
    first, second = of_two
    assert first["sweep"]["results"] == second["sweep"]["results"] == [0, 2, 4]
    assert first["sweep"]["done"] == second["sweep"]["done"] == [0, 1, 2]
    assert (first["sweep"]["wrote"], second["sweep"]["wrote"]) == (True, False)


def test_shares_are_in_order_and_even(of_two):
    firsts, seconds = ([part.stop - part.start for part in each["parts"]] for each in of_two)
    assert firsts == [0, 0, 1, 1, 2, 2]
    assert seconds == [0, 1, 1, 2, 2, 3]
    assert all(one["parts"][count].stop == two["parts"][count].start for one, two in [of_two] for count in range(6))


def test_what_processes_would_pair_wrongly_is_refused_on_both(of_two):
    for each in of_two:
        assert each["uneven"].startswith("1 of 2 processes have another batch and the rest have none; expected as many")
        assert "gives each of 2 processes everything; expected one with sampler=" in each["plain loader"]
        assert each["disagreement"] == 1


def straight(folder):
    result = train(TEXT, CORPUS, folder, save_every=3)
    return {"loss": result["curves"]["loss"], "test": result["test"]}


def stopped(folder):
    """The second process dies in the fifth step; what the first one is told."""
    before = language_learner.LanguageLearner.training_step

    def training_step(learner, window):
        if learner.trainer.global_step == 4 and not processes.is_first():
            os.kill(os.getpid(), signal.SIGKILL)
        return before(learner, window)

    language_learner.LanguageLearner.training_step = training_step
    try:
        train(TEXT, CORPUS, folder, save_every=1)
    except RuntimeError as error:
        return {"lost": processes.is_lost(error)}


def resumed(folder):
    result = train(TEXT, CORPUS, folder, resume=True, save_every=3)
    return {"loss": result["curves"]["loss"], "test": result["test"]}


def test_after_a_process_was_killed_training_goes_on_to_the_same_numbers(tmp_path, of_two):
    told, code = two(stopped, tmp_path)
    assert told == {"lost": True}
    assert code == -signal.SIGKILL
    assert read_checkpoint(tmp_path / "last.ckpt")["global_step"] == 4
    first, second = two(resumed, tmp_path)
    assert first == second == of_two[0]["straight"]


@pytest.mark.parametrize(
    ("environment", "counts", "message"),
    [
        ({}, (1, 2), r"--nodes 2: MASTER_ADDR, MASTER_PORT, NODE_RANK is not in the environment; .* torchrun"),
        ({"MASTER_ADDR": "a", "MASTER_PORT": "1", "NODE_RANK": "2"}, (1, 2), "NODE_RANK=2; expected 0 to 1"),
        ({"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}, (1, 2),
         "--devices 1 --nodes 2: torchrun has started 2 processes here and 2 in all; expected --nproc-per-node 1"),
        ({"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}, (1, 1),
         "torchrun has started 2 processes, which would all do the same; give --devices"),
    ],
)  # fmt: skip
def test_processes_that_would_wait_for_ever_are_refused(environment, counts, message, monkeypatch):
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "GNNSEQ_FIRST_PROCESS", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message), processes.together(*counts):
        pass
