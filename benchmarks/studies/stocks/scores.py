"""All measures of one forecast, as JSON values; the measures themselves are in studies.stocks.portfolio."""

from typing import Any

import numpy as np

from gnnseq.data.stocks.samples import Samples
from studies.stocks import portfolio

TOPS = (1, 5, 10)
SHOWN = 5  # of the picks, whose Sharpe ratio, drawdown and curve are shown


def score(p: np.ndarray, samples: Samples, cost: float, everything: bool = False) -> dict[str, Any]:
    """Measures of predictions p [days, N] for the test part: ``metrics``, and ``daily``, their series for the figures.

    ``cost`` is the share of a trade's value that is lost; with ``everything`` all stocks are held whatever p says.
    """
    y, valid = samples.target[samples.test.start : samples.test.stop].numpy(), samples.usable("test").numpy()
    # The papers correlate all stocks, with 0 for both where one does not take part.
    ic = portfolio.daily_ic(*((p * valid, y * valid, np.ones_like(valid)) if samples.leaks else (p, y, valid)))
    rank_ic = portfolio.daily_rank_ic(p, y, valid)
    metrics = {
        "mse": portfolio.mse(p, y, valid),
        "ic": ic.mean(),
        "rank_ic": rank_ic.mean(),
        "icir": portfolio.icir(ic),
        "mrr": portfolio.daily_reciprocal_rank(p, y, valid).mean(),
        "precision10": portfolio.daily_precision(p, y, valid, k=10).mean(),
    }
    daily = {"ic": ic}
    for k in TOPS:
        weights = portfolio.weights_of_top(p, valid, None if everything else k)
        gross, net = portfolio.daily_return(weights, y), portfolio.daily_return(weights, y, cost)
        metrics |= {f"return{k}": portfolio.total_return(gross), f"net{k}": portfolio.total_return(net)}
        metrics[f"irr{k}"] = portfolio.total_return(gross, compound=False)
        if k == SHOWN:
            metrics |= {"sharpe": portfolio.sharpe(gross), "sharpe_net": portfolio.sharpe(net)}
            metrics["drawdown"] = portfolio.maximum_drawdown(gross)
            metrics["turnover"] = portfolio.turnover(weights).mean()
            daily |= {"gross": gross, "net": net}
    return {
        "metrics": {name: float(value) for name, value in metrics.items()},
        "daily": {name: [float(f"{value:.4g}") for value in series] for name, series in daily.items()},
    }
