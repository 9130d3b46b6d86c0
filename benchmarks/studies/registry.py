"""All studies, a row each: what README, docs, the tables and CI's quick forms know of them. Data alone."""

from dataclasses import dataclass, field

__all__ = ["STUDIES", "Study"]


@dataclass(frozen=True)
class Study:
    """One study.

    Attributes:
        name: Of its folder here, its script ``benchmarks/NAME.py`` and its folder of results.
        question: What it asks.
        finding: What it found.
        time: How long the script takes without arguments, on two cores.
        results: Stem of each committed result, with the arguments that make it; None for one of another place and time.
    """

    name: str
    question: str
    finding: str
    time: str
    results: dict[str, str | None] = field(default_factory=dict)
    quick: tuple[str, ...] = ("--quick", "--jobs", "1")  # one process: every other would import torch anew


_NASDAQ = (
    "--prices stocks/nasdaq/nasdaq_2013_2017.npz "
    "--relations stocks/nasdaq/industries.json stocks/nasdaq/nasdaq_2013_2017.npz"
)

STUDIES = (
    Study(
        "palindrome",
        "how far can memory reach?",
        "GCNs short of the distance are at chance; RNNs forget; with chrono initialisation LSTMs, GRUs and "
        "two layers of MinGRU solve 1,000 digits, if palindromes grow while they learn",
        "3 min",
        {"story": "", "full": "--full", "long": "--long"},
    ),
    Study(
        "receptive_field",
        "do k layers reach k hops?",
        "exactly, every pair of nodes; `--graph FILE` asks your graph",
        "30 s",
        {"receptive_field": ""},
        ("--quick",),
    ),
    Study(
        "gradients",
        "where does the gradient go?",
        "a vanished gradient is not brought back by training",
        "3 min",
        {"gradients": ""},
    ),
    Study(
        "optimizers",
        "which way down?",
        "RMSProp and Adam for LSTMs; the rates on a quadratic are those of theory",
        "4 min, estimated",
        {"optimizers": ""},
    ),
    Study(
        "char_lm",
        "how well does an LSTM write?",
        "on tinyshakespeare better than nanoGPT on a GPU (1.450 on one seed against 1.470 nats a character), in 15 "
        "minutes of one core; residual blocks of MinGRU come to 1.455 on three in 12 of a faster one",
        "2 min",
        {
            "tinyshakespeare-fast": "--corpus tinyshakespeare --seeds 0 1 2",
            "tinyshakespeare-best": "--corpus tinyshakespeare --preset best",
            "tinyshakespeare-scan": "--corpus tinyshakespeare --preset scan --seeds 0 1 2 --jobs 2",
            "southpark-report": "--corpus southpark --preset report",
        },
    ),
    Study(
        "stocks",
        "do relations help to predict tomorrow's returns?",
        "in a market where they do, up to 96 % of what is possible is found; on NASDAQ they add .001 of IC, no more "
        "than luck over days, and costs eat it",
        "under 10 min",
        {
            "synthetic": "",
            "nasdaq_leak-free": f"{_NASDAQ} --name nasdaq_leak-free",
            **{
                f"nasdaq_{protocol}": f"{_NASDAQ} --name nasdaq_{protocol} --protocol {protocol} --models LSTM LSTM+GCN"
                for protocol in ("rsr", "stockmixer")
            },
            **{
                f"nasdaq_stockmixer_lstm_{hidden}_{rate}": f"{_NASDAQ} --name nasdaq_stockmixer_lstm_{hidden}_{rate} "
                f"--protocol stockmixer --models LSTM --hidden {hidden} --learning-rate {rate}"
                for hidden in (16, 32)
                for rate in ("1e-3", "3e-3")
            },
            "stocknet_leak-free": "--prices stocks/stocknet --relations stocks/stocknet/StockTable.tsv "
            "--name stocknet_leak-free",
        },
    ),
    Study(
        "forecasting",
        "do networks predict epidemics?",
        "an LSTM added to an autoregression is a little ahead of it (p = .07); graphs do not help on chickenpox",
        "30 min",
        {"forecasting": "", "twin": "--twin"},
    ),
    Study(
        "trees",
        "does structure help to read a sentence?",
        "on SST an LSTM along trees (43.6 and 82.1 %) is no better than along words (43.4 and 82.0 %); both are 2 to 4 "
        "points ahead of the words alone",
        "10 min, estimated",
        {"trees": ""},
    ),
    Study(
        "social_graph",
        "who writes to whom next?",
        "on CollegeMsg a network added to recency and walks (.304 of MRR) is a little ahead of these (.299), and as "
        "good without edges",
        "8 min",
        {"planted": "", "collegemsg": "--data collegemsg"},
    ),
    Study(
        "social_relations",
        "do graphs of people and things tell how people are related?",
        "messages tell as much as a table of near things and persons, not more; where other relations of an image are "
        "known, messages add .046 of accuracy",
        "16 min",
        {
            "planted": "",
            "pisc-relations": "--data pisc --tasks relations",
            "pisc-completion-some": '--data pisc --tasks completion --models prior "mode of the known labels" '
            '"trees, table" "trees, table and labels by person" "network, table" "network, table and graph"',
            "pisc-half-some-custom": "--data pisc --tasks half --partitions 1 --models prior "
            '"mode of the known labels" "trees, table and labels by person" "network, table" '
            '"network, table and graph"',
            "pipa-relations-some": '--data pipa --tasks relations --models prior "trees, table" "network, table" '
            '"network, table and graph"',
            **{
                f"pipa-{task}-some": f'--data pipa --tasks {task} --models prior "mode of the known labels" '
                '"trees, table and labels by person" "network, table" "network, table and graph"'
                for task in ("completion", "half")
            },
        },
    ),
    Study(
        "disease",
        "does a graph of people help to tell a diagnosis?",
        "not on ABIDE: ridges and a network without edges reach an AUC of .775, and no graph is ahead of that",
        "3 min",
        {"planted": "", "abide": "--data abide"},
    ),
    Study(
        "faults",
        "what happens when something goes wrong?",
        "of 10,000 calls with made-up arguments one ended the process and four had an unclear error, mended since; all "
        "of 1,000 mutated files are read or named; 220 kills of training scripts changed no number",
        "45 min",
        {
            "counted": "--promises calls files memory pages processes",
            "counted-kills": "--promises kills",
            "counted-calls": "--promises calls --calls 5000 --seed 60000",
        },
        ("--quick",),
    ),
    Study(
        "large_graph",
        "does training on samples do as well as on the whole graph?",
        "on 10^6 nodes samples score 70.3 %, the full batch 69.9 %, in a quarter of its memory; degrees must be handed "
        "along, or even all neighbours do not give the graph's numbers",
        "10 min, estimated",
        {
            "planted-1e6-1e7": "",
            "planted-1e7-1e8-1e8c8c5f": "--nodes 1e7 --edges 1e8 --methods samples 'no edges' 'label propagation' "
            "--epochs 1",
        },
        ("--quick",),
    ),
    Study(
        "speed",
        "how fast is it?",
        "with AVX-512 training is 1.1 to 2.6 times as fast as torch.nn's on equal lengths, 3.3 to 6.6 times on ragged "
        "ones; trees, graphs and where it is slower in docs/speed.md",
        "8 min",
        {"speed": "", "scaling": "--scaling", "amd": None, "against": None},
        ("--quick",),
    ),
)
