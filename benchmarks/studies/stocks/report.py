"""Tables, checked statements and the paired tests of the stock study, from its JSON alone."""

import statistics
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from harness.report import PLAIN, markdown_table, mean_std, said, table
from harness.significance import diebold_mariano, paired_t
from studies.stocks.figures import figures
from studies.stocks.results import daily, models, runs_of, values
from studies.stocks.runs import BASELINES, ENSEMBLE, HOLD, LEAK, LSTM, LSTM_GCN, NETWORKS, ORACLE, RANDOM

__all__ = ["TABLES", "checks", "figures", "print_report"]

NO_SCORE = {HOLD: {"mse", "ic", "rank_ic", "icir", "mrr", "precision10"}, RANDOM: {"mse"}, LEAK: {"mse"}}
FORMATS = {  # a metric's factor and digits, where they are not those of percents, (100, 0)
    "mse": (1e4, 3), "ic": (1, 4), "rank_ic": (1, 4), "icir": (1, 3), "mrr": (1, 4), "precision10": (100, 1),
    "irr1": (1, 2), "sharpe": (1, 1), "sharpe_net": (1, 1), "turnover": (1, 1),
}  # fmt: skip
# A table's columns: metric and heading.
SCORES = {
    "ic": "IC", "rank_ic": "rank IC", "precision10": "prec@10, %", "return5": "top 5, %", "net5": "after costs, %",
    "sharpe_net": "Sharpe after costs",
}  # fmt: skip
PREDICTION = {"mse": "MSE, 1e-4", "ic": "IC", "rank_ic": "rank IC", "icir": "ICIR"}
RETURNS = {f"{kind}{k}": f"{name} {k}, %" for kind, name in (("return", "top"), ("net", "net")) for k in (1, 5, 10)}
PICKS = {
    "mrr": "MRR, top 1", "irr1": "IRR, top 1", "precision10": "prec@10, %", "sharpe": "Sharpe",
    "sharpe_net": "Sharpe, net", "drawdown": "loss, %", "turnover": "traded, a day",
}  # fmt: skip
# What the papers report on the NASDAQ set: Feng et al. 2019, table 4; Fan and Shen 2024, table 2.
REPORTED_IC = {"LSTM (paper)": 0.032, "RSR-I (paper)": 0.038, "STHAN-SR (paper)": 0.039, "StockMixer (paper)": 0.043}
REPORTED = {
    "rsr": {"Rank_LSTM (paper)": {"mse": 3.79e-4, "mrr": 0.0417, "irr1": 0.68}},
    "stockmixer": {model: {"ic": ic} for model, ic in REPORTED_IC.items()},
}
MOST_ALIKE = 0.5**0.5  # see gnnseq.data.stocks.market.make_market
NASDAQ = (1245, 1026)  # days and stocks of the set that these are about


def print_report(result: dict[str, Any], console: Console) -> None:
    """What the data are, a table for each kind of measure, and the paired tests."""
    data = result["data"]
    parts = "; ".join(f"{part} {begin} to {end} ({days} days)" for part, (begin, end, days) in data["parts"].items())
    found = ", ".join(f"{count} × {kind}" for kind, count in data["found"].items())
    text = (
        f"\n{data['stocks']} stocks, {data['days']} days: {parts}\n"
        f"found in the prices: {f'{found}; each is in the JSON' if found else 'nothing'}\n"
        f"relations: {data['edges']} directed edges of {len(data['types'])} types; {data['without_relations']} stocks "
        f"have none; {len(data['left_out'])} tickers without prices left out\n"
    )
    console.print(Text.assemble(text, *(said("looks ahead:", "yellow", f" {leak}\n") for leak in data["leaks"])))
    seeds = max(len(runs_of(result, model)) for model in models(result))
    cost = 1e4 * result["runs"][0]["settings"]["cost"]
    last = [model for model in models(result) if model in BASELINES][-1]
    for columns, title, note in (
        (PREDICTION, f"Predictions, {result['protocol']}", f"Test part; mean ± standard deviation over {seeds} seeds."),
        (RETURNS, "Bought at each close, sold at the next",
         f"Return of the test part; net: less {cost:g} basis points of what is traded."),
        (PICKS, "The picks", "IRR: sum of daily returns. Top 5: Sharpe ratio of a year, worst loss from a peak, share "
         "of the money that changes hands a day."),
    ):  # fmt: skip
        made = table(title, note, [""], [heading.replace(", ", "\n") for heading in columns.values()])
        for name, *cells in _rows(result, columns):
            style = "bold" if name in NETWORKS else "dim" if name.endswith("(paper)") else ""
            made.add_row(name, *cells, end_section=name == last, style=style)
        console.print(made)
    for model, other in pairs(result):
        console.print(compared(result, model, other), **PLAIN)


def _rows(result: dict[str, Any], columns: dict[str, str]) -> list[list[str]]:
    """A row a forecaster, then what papers report of this set under this protocol, if these columns have any of it."""
    rows = []
    for model in models(result):
        none = NO_SCORE.get(model, ())
        rows.append([model, *("–" if name in none else _text(name, values(result, model, name)) for name in columns)])
    if (result["data"]["days"], result["data"]["stocks"]) == NASDAQ:
        for model, reported in REPORTED.get(result["protocol"], {}).items():
            if reported.keys() & columns:
                rows.append([model, *(_text(name, [reported[name]]) if name in reported else "" for name in columns)])
    return rows


def _text(metric: str, scores: list[float]) -> str:
    """Mean and standard deviation over seeds that differ, as 0.0312±.0020."""
    factor, digits = FORMATS.get(metric, (100, 0))
    return mean_std(scores if len(set(scores)) > 1 else scores[:1], digits, factor, "±").replace("±0.", "±.")


def scores(result: dict[str, Any]) -> str:
    """One row a forecaster: how well it orders returns, and what its picks bring."""
    name = f"{result['data']['prices'].split('.')[0]}, {result['protocol']}"
    return markdown_table([name, *SCORES.values()], _rows(result, SCORES))


TABLES = {"scores": scores}


def pairs(result: dict[str, Any]) -> list[tuple[str, str]]:
    """What is compared: relations with none and, where nothing is known beforehand, networks with the best baseline."""
    there = models(result)
    of_kinds = [(f"{model}{kind}", f"{LSTM}{kind}") for kind in ("", ENSEMBLE) for model in NETWORKS if model != LSTM]
    found = [pair for pair in of_kinds if set(pair) <= set(there)]
    if ORACLE not in there:
        found += [(model, best_baseline(result)) for model in there if model.removesuffix(ENSEMBLE) in NETWORKS]
    return found


def best_baseline(result: dict[str, Any]) -> str:
    """The baseline of the highest IC on the test part: chosen with hindsight, which no network is."""
    scored = [model for model in models(result) if model in BASELINES and model not in (HOLD, RANDOM)]
    return max(scored, key=lambda model: statistics.fmean(values(result, model, "ic")))


def compared(result: dict[str, Any], model: str, other: str) -> str:
    """Two forecasters in daily IC, in words.

    By seed, a paired t-test: is the difference of the two test ICs larger than what training's luck makes? By day,
    Diebold and Mariano's: is it larger than the market's luck? Only the second speaks of other days than the test's.
    """
    own, others = daily(result, model, "ic"), daily(result, other, "ic")
    difference, p_day = diebold_mariano(own.mean(0), others.mean(0))
    by_seed = (own - others).mean(1)
    text = f"{model} − {other}: IC {difference:+.4f}"
    if len(by_seed) > 1:
        text += f" ± {by_seed.std(ddof=1):.4f}, better for {(by_seed > 0).sum()} of {len(by_seed)} seeds"
        text += f" (p = {paired_t(by_seed):.2g})"
    return f"{text}; over days p = {p_day:.2g}"


def checks(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Statements that must hold, each with whether it does; of real markets none is known beforehand."""
    there = models(result)
    if not {ORACLE, LSTM} <= set(there):
        return []
    ics, alone, oracle = daily(result, LSTM, "ic"), values(result, LSTM, "ic"), values(result, ORACLE, "ic")
    error = float(ics.std(ddof=1) / np.sqrt(ics.size))
    text = f"an LSTM alone finds nothing: IC {ics.mean():+.4f}, within 4 standard errors of {error:.4f}"
    statements = [(text, abs(float(ics.mean())) < 4 * error)]
    for model in (model for model in there if model in NETWORKS and model != LSTM):
        own = values(result, model, "ic")
        share = statistics.fmean(own) / statistics.fmean(oracle)
        text = f"{model} finds {share:.0%} of what is possible, and more than the LSTM in every market"
        if model == LSTM_GCN:
            text += f"; who weighs all relations alike finds at most {MOST_ALIKE:.0%}"
        statements.append((text, all(one > other for one, other in zip(own, alone, strict=True))))
    return statements
