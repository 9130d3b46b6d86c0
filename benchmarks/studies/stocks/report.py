"""Tables, checked statements and the paired tests of the stock study, from its JSON alone."""

import statistics
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from scipy import stats

from gnnseq.plots import save_figure, style
from harness.significance import diebold_mariano
from studies.stocks.figures import draw_ic, draw_relations, draw_returns
from studies.stocks.models import ALIKE, ALONE, HOLD, LEAK, LEARNED, ORACLE, RANDOM, SIMPLE, TOGETHER
from studies.stocks.results import daily, models, runs_of, values

NO_SCORE = {HOLD: {"mse", "ic", "rank_ic", "icir", "mrr", "precision10"}, RANDOM: {"mse"}, LEAK: {"mse"}}
# A column: heading, unit, factor, digits.
PREDICTION = {
    "mse": ("MSE", "1e-4", 1e4, 2), "ic": ("IC", "", 1, 4), "rank_ic": ("rank IC", "", 1, 4),
    "icir": ("ICIR", "", 1, 2),
}  # fmt: skip
RETURNS = {
    **{f"return{k}": (f"top {k}", "%", 100, 0) for k in (1, 5, 10)},
    **{f"net{k}": (f"net {k}", "%", 100, 0) for k in (1, 5, 10)},
}  # fmt: skip
PICKS = {
    "mrr": ("MRR", "top 1", 1, 3), "precision10": ("prec", "@10, %", 100, 1), "sharpe": ("Sharpe", "", 1, 1),
    "sharpe_net": ("Sharpe", "net", 1, 1), "drawdown": ("loss", "%", 100, 0), "turnover": ("traded", "a day", 1, 1),
}  # fmt: skip
PAPERS = {  # the columns of a protocol's paper
    "rsr": {"mse": ("MSE", "1e-4", 1e4, 3), "mrr": ("MRR", "", 1, 4), "irr1": ("IRR", "", 1, 2)},
    "stockmixer": {
        "ic": ("IC", "", 1, 4), "icir": ("RIC", "", 1, 3), "precision10": ("prec@10", "", 1, 3),
        "sharpe": ("SR", "", 1, 2),
    },
}  # fmt: skip
# What the papers report on the NASDAQ set: Feng et al. 2019, table 4; Fan and Shen 2024, table 2.
REPORTED = {
    "rsr": {"Rank_LSTM (paper)": {"mse": 3.79e-4, "mrr": 0.0417, "irr1": 0.68}},
    "stockmixer": {
        "LSTM (paper)": {"ic": 0.032},
        "RSR-I (paper)": {"ic": 0.038},
        "STHAN-SR (paper)": {"ic": 0.039},
        "StockMixer (paper)": {"ic": 0.043},
    },
}
MOST_ALIKE = 0.5**0.5  # see gnnseq.data.stocks.market.make_market
NASDAQ = (1245, 1026)  # days and stocks of the set that these are about


def pairs(result: dict[str, Any]) -> list[tuple[str, str]]:
    """What is compared: relations with none and, where nothing is known beforehand, networks with the best baseline."""
    there = models(result)
    compared = [
        (f"{model}{ending}", f"{ALONE}{ending}")
        for ending in ("", TOGETHER)
        for model in LEARNED
        if model != ALONE and {f"{model}{ending}", f"{ALONE}{ending}"} <= set(there)
    ]
    if ORACLE not in there:
        best = best_baseline(result)
        compared += [(model, best) for model in there if model.removesuffix(TOGETHER) in LEARNED]
    return compared


def best_baseline(result: dict[str, Any]) -> str:
    """The baseline of the highest IC on the test part: chosen with hindsight, which no network is."""
    scored = [model for model in models(result) if model in SIMPLE and model not in (HOLD, RANDOM)]
    return max(scored, key=lambda model: statistics.fmean(values(result, model, "ic")))


def paired_tests(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Each of :func:`pairs` in daily IC.

    Two questions. By seed: is the difference of the two test ICs larger than what training's luck makes? A paired
    t-test. By day: is the daily difference, mean over seeds, larger than what the market's luck makes? Diebold and
    Mariano's test. Only the second speaks of other days than those of the test part.
    """
    tests = []
    for model, other in pairs(result):
        own, others = daily(result, model, "ic"), daily(result, other, "ic")
        by_seed = (own - others).mean(1)
        difference, p_day = diebold_mariano(own.mean(0), others.mean(0))
        tests.append(
            {
                "model": model,
                "other": other,
                "difference": difference,
                "spread": float(by_seed.std(ddof=1)) if len(by_seed) > 1 else 0.0,
                "better": int((by_seed > 0).sum()),
                "seeds": len(by_seed),
                "p_seed": _p_value(by_seed),
                "p_day": p_day,
            }
        )
    return tests


def _p_value(differences: np.ndarray) -> float:
    """Of a two-sided t-test that the mean is 0; 1 where there is nothing to test."""
    if len(differences) < 2 or differences.std() == 0:
        return 1.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def found(result: dict[str, Any], model: str) -> float:
    """Which share of the IC that was possible a model had: mean over the markets."""
    return statistics.fmean(values(result, model, "ic")) / statistics.fmean(values(result, ORACLE, "ic"))


def checks(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Statements that must hold, each with whether it does; of real markets none is known beforehand."""
    there = models(result)
    if ORACLE not in there:
        return []
    statements = []
    alone = [run["daily"]["ic"] for run in runs_of(result, ALONE)] if ALONE in there else []
    if alone:
        ics = np.concatenate(alone)
        error = float(ics.std(ddof=1) / np.sqrt(len(ics)))
        text = f"an LSTM alone finds nothing: IC {ics.mean():+.4f}, within 4 standard errors of {error:.4f}"
        statements.append((text, abs(float(ics.mean())) < 4 * error))
    for model in there:
        if model not in LEARNED or model == ALONE or not alone:
            continue
        pairs = list(zip(values(result, model, "ic"), values(result, ALONE, "ic"), strict=True))
        text = f"{model} finds {found(result, model):.0%} of what is possible, and more than the LSTM in every market"
        if model == ALIKE:
            text += f"; who weighs all relations alike finds at most {MOST_ALIKE:.0%}"
        statements.append((text, all(one > other for one, other in pairs)))
    return statements


def cell(result: dict[str, Any], model: str, metric: str, factor: float, digits: int) -> str:
    """Mean and standard deviation over seeds, as 0.0312±.0020."""
    if metric in NO_SCORE.get(model, ()):
        return "–"
    scores = [factor * value for value in values(result, model, metric)]
    text = f"{statistics.fmean(scores):.{digits}f}"
    if len(scores) == 1 or (spread := statistics.stdev(scores)) == 0:
        return text
    return f"{text}±{f'{spread:.{digits}f}'.removeprefix('0') or '0'}"


def print_report(result: dict[str, Any], console: Console) -> None:
    data = result["data"]
    parts = "; ".join(f"{part} {begin} to {end} ({days} days)" for part, (begin, end, days) in data["parts"].items())
    console.print(f"\n{data['stocks']} stocks, {data['days']} days: {parts}", highlight=False)
    seen = ", ".join(f"{count} × {kind}" for kind, count in data["found"].items()) or "nothing"
    console.print(f"found in the prices: {seen}" + "; each is in the JSON" * bool(data["found"]), highlight=False)
    console.print(
        f"relations: {data['edges']} directed edges of {len(data['types'])} types; {data['without_relations']} stocks "
        f"have none; {len(data['left_out'])} tickers without prices left out",
        highlight=False,
    )
    for leak in data["leaks"]:
        console.print(f"[yellow]looks ahead:[/] {leak}", highlight=False)
    console.print()
    seeds = max(len(runs_of(result, model)) for model in models(result))
    tables = [
        (PREDICTION, f"Predictions, {result['protocol']}", f"Test part; mean ± standard deviation over {seeds} seeds."),
        (
            RETURNS,
            "Bought at each close, sold at the next",
            f"Return of the test part; net: less {1e4 * _first(result)['cost']:g} basis points of what is traded.",
        ),
        (
            PICKS,
            "The picks",
            "Top 5: Sharpe ratio of a year, worst loss from a peak, share of the money that changes hands a day.",
        ),
    ]
    if result["protocol"] in PAPERS:
        note = (
            "IRR is the sum of the daily returns of the top pick, RIC the papers' name of ICIR, SR of Sharpe's ratio."
        )
        tables.insert(0, (PAPERS[result["protocol"]], f"As in the papers, {result['protocol']}", note))
    for columns, title, note in tables:
        console.print(_table(result, columns, title, note))
    for test in paired_tests(result):
        console.print(sentence(test), highlight=False)
    for statement, holds in checks(result):
        console.print(f"[green]holds[/] {statement}" if holds else f"[bold red]FAILS[/] {statement}", highlight=False)


def sentence(test: dict[str, Any]) -> str:
    """A paired test in words."""
    text = f"{test['model']} − {test['other']}: IC {test['difference']:+.4f}"
    if test["seeds"] > 1:
        text += f" ± {test['spread']:.4f}, better for {test['better']} of {test['seeds']} seeds"
        text += f" (p = {test['p_seed']:.2g})"
    return f"{text}; over days p = {test['p_day']:.2g}"


def _first(result: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = result["runs"][0]["settings"]
    return settings


def _table(result: dict[str, Any], columns: dict[str, Any], title: str, note: str) -> Table:
    table = Table(title=title, caption=note, box=box.SIMPLE_HEAD, title_style="bold", caption_justify="left")
    table.padding = (0, 1, 0, 0)
    table.add_column("", no_wrap=True)
    for name, unit, _, _ in columns.values():
        table.add_column(f"{name}\n{unit}" if unit else name, justify="right", no_wrap=True)
    for model in models(result):
        cells = [cell(result, model, metric, factor, digits) for metric, (_, _, factor, digits) in columns.items()]
        style = "bold" if model in LEARNED else ""
        table.add_row(model, *cells, end_section=model == _last_baseline(result), style=style)
    for name, cells in _reported(result, columns):
        table.add_row(name, *cells, style="dim")
    return table


def _last_baseline(result: dict[str, Any]) -> str:
    return [model for model in models(result) if model in SIMPLE][-1]


def _reported(result: dict[str, Any], columns: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Rows of what papers report of this set under this protocol, where these columns have any of it."""
    if (result["data"]["days"], result["data"]["stocks"]) != NASDAQ:
        return []
    rows = []
    for name, reported in REPORTED.get(result["protocol"], {}).items():
        cells = [
            f"{factor * reported[metric]:.{digits}f}" if metric in reported else ""
            for metric, (_, _, factor, digits) in columns.items()
        ]
        if any(cells):
            rows.append((name, cells))
    return rows


def markdown(result: dict[str, Any]) -> str:
    """The README's table: one row a forecaster."""
    columns = {
        "ic": ("IC", "", 1, 4), "rank_ic": ("rank IC", "", 1, 4), "precision10": ("prec@10", "%", 100, 1),
        "return5": ("top 5", "%", 100, 0), "net5": ("after costs", "%", 100, 0),
        "sharpe_net": ("Sharpe after costs", "", 1, 1),
    }  # fmt: skip
    headings = [f"{name}, {unit}" if unit else name for name, unit, _, _ in columns.values()]
    rows = [
        (model, [cell(result, model, metric, factor, digits) for metric, (_, _, factor, digits) in columns.items()])
        for model in models(result)
    ]
    rows += _reported(result, columns)
    lines = [
        [f"{result['data']['prices'].split('.')[0]}, {result['protocol']}", *headings],
        ["---", *["---:"] * len(columns)],
    ]
    lines += [[name, *cells] for name, cells in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Cumulative return, IC over time, and the relations with what the network made of them."""
    paths: list[Path] = []
    for name, draw in (("returns", draw_returns), ("ic", draw_ic), ("relations", draw_relations)):
        with style():
            figure = draw(result)
        if figure is not None:
            paths += save_figure(figure, stem.with_name(f"{stem.name}_{name}"))
    return paths
