"""The stock study end to end on markets made here: no forecast knows a later price, and a run is what its JSON says."""

import dataclasses
import json
import runpy
import sys

import numpy as np
import pytest
import torch
from rich.console import Console

import stocks
from gnnseq.data.stocks.market import make_market
from gnnseq.data.stocks.panel import Panel
from gnnseq.data.stocks.relations import from_triples
from gnnseq.data.stocks.samples import leak_free, published
from harness.cli import publish
from studies.stocks import report as stocks_report
from studies.stocks import sources as stocks_sources
from studies.stocks import study as stocks_study
from studies.stocks.baselines import past_returns, predict, standardised_targets
from studies.stocks.networks import DayWindows, ReturnNetwork, learn
from studies.stocks.portfolio import score
from studies.stocks.results import models, runs_of
from studies.stocks.runs import (
    AUTOREGRESSION,
    ENSEMBLE,
    HOLD,
    LEAK,
    LINEAR,
    NETWORKS,
    ORACLE,
    RANDOM,
    YESTERDAY,
    Source,
    StockRun,
    StockTraining,
)

TINY = StockTraining(hidden=4, window=16, learning_rate=1e-2, max_epochs=2, patience=2)


@pytest.fixture(scope="module")
def market():
    return make_market(stocks=12, days=180, leaders=2, seed=3)


def changed_after(panel, day):
    closes = panel.closes.copy()
    later = closes[day + 1 :]
    later *= np.exp(np.random.default_rng(0).normal(scale=0.2, size=later.shape))
    later[::3, ::4] = np.nan
    return Panel(closes, panel.dates, panel.tickers)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_price_after_a_day_changes_what_a_network_predicts_for_it(market, name):
    samples = leak_free(market.panel)
    day = samples.test.start + 3
    after = leak_free(changed_after(market.panel, day))
    before = learn(name, samples, market.relations, TINY, seed=0)  # trained, chosen and asked anew on either side
    again = learn(name, after, market.relations, TINY, seed=0)
    assert np.array_equal(before.p[:4], again.p[:4])
    assert not np.array_equal(before.p[4:], again.p[4:])
    assert before.validation_ic == again.validation_ic


@pytest.mark.parametrize("name", [RANDOM, YESTERDAY, AUTOREGRESSION, LINEAR])
def test_nor_what_a_baseline_predicts(market, name):
    samples = leak_free(market.panel)
    day = samples.test.start + 3
    after = leak_free(changed_after(market.panel, day))
    assert np.array_equal(predict(name, samples, 0).p[:4], predict(name, after, 0).p[:4])


def written(closes, folder):
    """The market's closes as a file, with a split that is not adjusted for, and what is read and predicted from it."""
    folder.mkdir()
    closes = closes.copy()
    closes[90:, 5] /= 2
    dates = np.datetime64("2020-01-01") + np.arange(len(closes))
    lines = [f"{date},{','.join(map(repr, row.tolist()))}" for date, row in zip(dates, closes, strict=True)]
    tickers = ",".join(f"S{i}" for i in range(closes.shape[1]))
    (folder / "closes.csv").write_text("\n".join([f"Date,{tickers}", *lines]).replace("nan", "") + "\n")
    (folder / "groups.json").write_text(json.dumps({"a": ["S0", "S1", "S2"], "b": ["S3", "S4"]}))
    return Source(folder / "closes.csv", (folder / "groups.json",), adjusted=False)


def predicted(model, source):
    """Through files, repairs, scaling, nearest neighbours, training and choice of the epoch."""
    run = StockRun(
        model=model, seed=0, protocol="leak-free", data=source.digest(), synthetic=None, neighbours=3, cost=0.0,
        training=TINY,
    )  # fmt: skip
    stocks_study._load.cache_clear()
    panel, samples, _, _ = stocks_study.load(run, source)
    assert panel.counts()["split"] >= 1
    return stocks_study.unpacked(stocks_study.measure(run, source)["forecast"], panel.num_stocks), samples


@pytest.mark.parametrize("later", [0, 20])
@pytest.mark.parametrize("model", NETWORKS)
def test_through_the_whole_pipeline_no_later_price_changes_a_prediction(market, tmp_path, model, later):
    before, samples = predicted(model, written(market.panel.closes, tmp_path / "before"))
    day = samples.test.start + later
    changed = changed_after(market.panel, day).closes
    changed[day + 2 :, 7] *= 4  # a split the other way
    after, _ = predicted(model, written(changed, tmp_path / "after"))
    assert np.array_equal(before[: later + 1], after[: later + 1])
    assert not np.array_equal(before[later + 1 :], after[later + 1 :])


def test_training_reads_no_target_of_the_later_parts(market):
    samples = leak_free(market.panel)
    other = dataclasses.replace(samples, target=samples.target.clone())
    other.target[samples.train.stop :] = 0.1 * torch.randn(other.target[samples.train.stop :].shape).double()
    for one, two in zip(standardised_targets(samples), standardised_targets(other), strict=True):
        counted = standardised_targets(samples)[1]
        assert one == two if isinstance(one, float) else torch.equal(one[counted], two[counted])
    assert not standardised_targets(samples)[1][samples.train.stop :].any()


def test_past_returns_are_those_of_the_closes():
    closes = make_market(stocks=8, days=150, leaders=1).panel.closes
    closes[100:103, 0] = np.nan
    panel = Panel(closes, tuple(str(np.datetime64("2020-01-01") + t) for t in range(150)), tuple("ABCDEFGH"))
    returns = past_returns(leak_free(panel)).numpy()
    expected = np.nan_to_num(closes[1:] / closes[:-1] - 1)
    # a target's rounding: the ratio of the same two closes
    np.testing.assert_allclose(returns[1:], expected, atol=1e-15)


def test_windows_cover_every_day_once():
    for shuffled in (True, False):
        for days in (range(5, 38), range(4)):
            covered = sorted(day for begin, end in DayWindows(days, 8, shuffled) for day in range(begin, end))
            assert covered == list(days)


def test_a_linear_forecast_finds_a_linear_rule():
    generator = np.random.default_rng(0)
    returns = np.zeros((400, 40))
    for t in range(1, 400):  # each return is partly the last one's reverse
        returns[t] = -0.5 * returns[t - 1] + generator.normal(scale=0.01, size=40)
    dates = tuple(str(np.datetime64("2020-01-01") + t) for t in range(400))
    panel = Panel(np.cumprod(1 + returns, axis=0), dates, tuple(f"S{i}" for i in range(40)))
    samples = leak_free(panel)
    for name in (AUTOREGRESSION, LINEAR):
        ic = score(predict(name, samples, 0).p, samples, 0.0)["metrics"]["ic"]
        assert ic == pytest.approx(0.5, abs=0.03)  # the rule's own correlation; 75 days of 40 stocks
    assert score(predict(YESTERDAY, samples, 0).p, samples, 0.0)["metrics"]["ic"] == pytest.approx(-0.5, abs=0.03)


def test_scores_of_holding_everything_and_of_the_papers(market):
    samples = leak_free(market.panel)
    held = score(predict(HOLD, samples, 0).p, samples, 0.001, everything=True)
    y = samples.target[samples.test.start : samples.test.stop].mean(1)
    assert (
        held["metrics"]["return1"] == held["metrics"]["return5"] == pytest.approx(float((1 + y).prod() - 1), rel=1e-12)
    )
    assert held["metrics"]["turnover"] == pytest.approx(1 / len(y), rel=1e-12)
    theirs = published(market.panel)
    leak = predict(LEAK, theirs, 0)
    valid = theirs.usable("test").numpy()
    y = theirs.target[theirs.test.start : theirs.test.stop].numpy()
    expected = np.mean([np.corrcoef(p * v, r * v)[0, 1] for p, r, v in zip(leak.p, y, valid, strict=True)])
    assert score(leak.p, theirs, 0.0)["metrics"]["ic"] == pytest.approx(expected, abs=1e-12)


def test_the_script_draws_from_its_json_alone_and_takes_up_where_it_stopped(tmp_path, monkeypatch):
    settings = stocks.Settings(quick=True, seeds=2, epochs=2, hidden=4, jobs=1, results=tmp_path)
    code = publish(settings)
    assert code in (0, 1)  # two epochs need not find anything
    result = json.loads((tmp_path / "quick.json").read_text())
    assert models(result) == [HOLD, RANDOM, YESTERDAY, AUTOREGRESSION, LINEAR, *NETWORKS, ORACLE]
    assert code == int(not all(holds for _, holds in stocks_report.checks(result)))
    before = (tmp_path / "quick_returns.png").read_bytes()
    monkeypatch.setattr(stocks_study, "learn", None)
    again = stocks_study.run(settings, Console(quiet=True))  # every run was finished before
    assert again["runs"] == result["runs"]
    monkeypatch.setattr(stocks_study, "run_sweep", None)
    publish(dataclasses.replace(settings, report_only=True))
    assert (tmp_path / "quick_returns.png").read_bytes() == before
    assert stocks_report.scores(result).count("\n") == 2 + len(models(result))


def test_real_files_under_a_published_protocol(tmp_path, capsys):
    market = make_market(stocks=8, days=120, leaders=1)
    rows = [
        f"{date},{','.join(map(str, closes))}"
        for date, closes in zip(market.panel.dates, market.panel.closes, strict=True)
    ]
    prices = tmp_path / "closes.csv"
    prices.write_text(f"Date,{','.join(market.panel.tickers)}\n" + "\n".join(rows) + "\n")
    groups = tmp_path / "groups.json"
    groups.write_text(json.dumps({"all": list(market.panel.tickers)}))
    settings = stocks.Settings(
        prices=str(prices), relations=(str(groups),), neighbours=2, protocol="stockmixer", models=("LSTM+GCN",),
        seeds=1, epochs=1, hidden=4, jobs=1, results=tmp_path,
    )  # fmt: skip
    assert publish(settings) == 0
    result = json.loads((tmp_path / "closes_stockmixer.json").read_text())
    assert result["data"]["types"][0] == ["all", 56]
    assert result["data"]["types"][1][0] == "correlation"
    assert str(tmp_path) not in json.dumps(result["data"])
    assert "looks ahead:" in capsys.readouterr().out
    assert runs_of(result, LEAK)


@torch.no_grad()
@pytest.mark.parametrize("name", ["LSTM+GCN", "LSTM+RSR"])
def test_weights_of_edges_weigh_both_convolutions(market, name):
    samples = leak_free(market.panel)
    tickers = market.panel.tickers
    pairs = [(tickers[i], tickers[j], "x") for i, j in market.relations.edge_index.t().tolist()]
    torch.manual_seed(0)
    network = ReturnNetwork(name, samples.x.size(2), 4, 1)
    torch.nn.init.normal_(network.readout.weight)
    plain, ones, weighted = (
        network(samples.x[:20], from_triples(pairs, tickers, weights=weights), 16)
        for weights in (None, [1.0] * len(pairs), [1.0 + i for i in range(len(pairs))])
    )
    assert torch.equal(plain, ones)
    assert not torch.allclose(plain, weighted)


def test_one_tickers_table_is_studied_as_one_ticker(market, tmp_path):
    file = tmp_path / "AAPL.csv"
    rows = [f"{date} 00:00:00-05:00,1,2,0.5,{close},{10**6}" for date, close in
            zip(market.panel.dates, market.panel.closes[:, 0].tolist(), strict=True)]  # fmt: skip
    file.write_text("Date,Open,High,Low,Close,Volume\n" + "\n".join(rows) + "\n")
    settings = stocks.Settings(prices=str(file), seeds=1, epochs=1, hidden=4, jobs=1, results=tmp_path)
    result = stocks_study.run(settings, Console(quiet=True))
    assert result["data"]["tickers"] == ["AAPL"]
    assert models(result) == [HOLD, RANDOM, YESTERDAY, AUTOREGRESSION, LINEAR, "LSTM"]
    target = leak_free(Panel(market.panel.closes[:, :1], market.panel.dates, ("AAPL",)))
    expected = np.prod(1 + target.target[target.test.start : target.test.stop].numpy()) - 1
    assert runs_of(result, HOLD)[0]["metrics"]["return1"] == pytest.approx(expected, rel=1e-12)


def test_seeds_together_are_the_mean_of_their_forecasts(market, tmp_path):
    source = written(market.panel.closes, tmp_path / "files")
    settings = stocks.Settings(
        prices=str(source.prices), raw=True, relations=tuple(map(str, source.relations)), models=("LSTM", "LSTM+RSR"),
        seeds=2, epochs=1, hidden=4, jobs=1, results=tmp_path,
    )  # fmt: skip
    result = stocks_study.run(settings, Console(quiet=True))
    assert settings.name == "closes_leak-free"
    runs = [json.loads(path.read_text()) for path in (tmp_path / "cache").glob("*.json")]
    own = [run["result"]["forecast"] for run in runs if run["settings"]["model"] == "LSTM"]
    mean = np.mean([stocks_study.unpacked(text, 12) for text in own], axis=0)
    samples = stocks_study.load(settings.runs("")[0], source)[1]
    expected = score(mean, samples, settings.cost)["metrics"]
    assert runs_of(result, f"LSTM{ENSEMBLE}")[0]["metrics"] == pytest.approx(expected, rel=1e-12)
    assert not any("forecast" in run["result"] for run in result["runs"])
    assert models(result)[-2:] == [f"LSTM{ENSEMBLE}", f"LSTM+RSR{ENSEMBLE}"]
    best = stocks_report.best_baseline(result)
    assert stocks_report.pairs(result) == [
        ("LSTM+RSR", "LSTM"),
        ("LSTM+RSR, together", "LSTM, together"),
        *((model, best) for model in ("LSTM", "LSTM+RSR", "LSTM, together", "LSTM+RSR, together")),
    ]


@torch.no_grad()
def test_strengths_are_shares_of_what_a_stock_hears(market):
    samples, relations = leak_free(market.panel), market.relations
    forecaster = ReturnNetwork("LSTM+RSR", samples.x.size(2), 4, len(relations.names))
    assert ReturnNetwork("LSTM", samples.x.size(2), 4, 2).strengths(samples.x[:20], relations, 16) is None
    # every follower hears as many suppliers as namesakes, so that the two strengths have mean 1
    types, loudness = forecaster.strengths(samples.x[:20], relations, 16)
    assert float(types.mean()) == pytest.approx(1, abs=1e-5)  # float32
    assert float(loudness[:6].mean()) == pytest.approx(1, abs=1e-5)
    assert not loudness[6:].any()  # followers are heard by nobody
    forecaster.ranking.relation.weight.data[0] = torch.tensor([-500.0, 0.0])  # a leaky relu leaves a fifth
    assert forecaster.strengths(samples.x[:20], relations, 16)[0].tolist() == pytest.approx([0, 2], abs=1e-5)


def test_a_run_is_another_one_on_other_data(tmp_path):
    path = tmp_path / "closes.csv"
    path.write_text("Date,A\n2020-01-01,1\n")
    source = Source(path, (), adjusted=False)
    first = source.digest()
    assert dataclasses.replace(source, adjusted=True).digest() != first
    path.write_text("Date,A\n2020-01-01,2\n")
    assert source.digest() != first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": ("GPT",)}, "models: got GPT; expected some of LSTM"),
        ({"seeds": 0}, "seeds=0; expected 1 or more"),
        ({"cost": 2.0}, "cost=2.0; expected 0 to 1"),
        ({"protocol": "rsr"}, "are for real prices; give --prices too"),
        ({"raw": True}, "are for real prices; give --prices too"),
        ({"prices": "x", "raw": True, "adjusted": True}, "closes are one of the two"),
        ({"prices": "x", "columns": ("close",)}, "columns: got 'close'; expected WHAT=NAME"),
        ({"prices": "x", "relation_columns": ("group=S",)}, "give --relations too"),
    ],
)
def test_wrong_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        stocks.Settings(**arguments)


def test_a_path_that_is_nowhere_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("GNNSEQ_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="none of the published files"):
        stocks_sources.find("nowhere/prices.csv")
    (tmp_path / "mine.npz").write_bytes(b"")
    assert stocks_sources.find("mine.npz") == tmp_path / "mine.npz"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--prices", "nowhere"], 2, "stocks.py: nowhere: not here"),
        (["--prices", "bad.csv"], 2, "bad.csv:3: A is 'x'; expected a positive number"),
        (["--prices", "split.csv"], 2, "are repaired. On the command line: --adjusted or --raw"),
        (
            ["--prices", "split.csv", "--raw", "--relations", "s.csv", "--relation-columns", "group=Sector"],
            2,
            "closes has 2 days",
        ),
        (
            ["--prices", "split.csv", "--raw", "--relations", "s.csv", "e.csv"],
            2,
            "s.csv:1: Sector and Industry may both be the group",
        ),
        (["--prices", "bad.csv", "--relations", "e.csv", "s.csv"], 2, "no price s.csv:1: Sector and Industry"),
        (["--prices", "no.csv", "--relations", "nothing.csv"], 2, "published files nothing.csv: not here"),
        (["--quick", "--seeds", "0"], 2, "seeds=0; expected 1 or more"),
        (["--quick"], 130, "the same command continues from the finished runs"),
    ],
)
def test_exit_codes(tmp_path, monkeypatch, capsys, arguments, code, message):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GNNSEQ_DATA", str(tmp_path))
    (tmp_path / "bad.csv").write_text("Date,A\n2024-01-01,1\n2024-01-02,x\n")
    (tmp_path / "split.csv").write_text("Date,A,B\n2024-01-01,1,1\n2024-01-02,0.49,1\n")
    (tmp_path / "s.csv").write_text("Ticker,Sector,Industry\nA,x,y\nB,x,z\n")
    (tmp_path / "e.csv").write_text("source,target\nX,Y\n")
    monkeypatch.setattr(stocks_study, "run_sweep", interrupted)
    monkeypatch.setattr(sys, "argv", ["stocks.py", *arguments, "--results", str(tmp_path)])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(stocks.__file__, run_name="__main__")
    assert caught.value.code == code
    assert message in " ".join(capsys.readouterr().err.split())
