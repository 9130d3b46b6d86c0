"""
A folder of prices, as it is
============================

Files of prices come in many forms. :func:`gnnseq.data.stocks.load_prices` tells them apart by the names of their
columns, repairs what it can prove, and refuses the rest with file and line.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from gnnseq.data.stocks import leak_free, load_prices, load_relations
from gnnseq.layers import TemporalGCN
from gnnseq.plots import COLORS

# %%
# A folder such as yours: one file a ticker. One has a 3:2 split in March, which its adjusted closes know of.

folder = Path(tempfile.mkdtemp())
days = pd.bdate_range("2024-01-01", periods=120)
noise = np.random.default_rng(0)
for number, ticker in enumerate(["ALFA", "BETA", "GAMA", "DELT"]):
    close = 50 * np.exp(np.cumsum(0.01 * noise.standard_normal(120)))
    paid = np.where(np.arange(120) < 50, 1.5 * close, close) if ticker == "BETA" else close
    table = pd.DataFrame({"Date": days.date, "Close": paid.round(4), "Adj Close": close.round(4), "Volume": 1000})
    table.iloc[number:].to_csv(folder / f"{ticker}.csv", index=False)
(folder / "sectors.tsv").write_text("Ticker\tSector\nALFA\tEnergy\nBETA\tEnergy\nGAMA\tBanks\nDELT\tBanks\n")

prices = load_prices(folder)
print(f"{prices.num_stocks} stocks on {prices.num_days} days: {', '.join(prices.tickers)}")
for finding in prices.findings:
    print(finding)

# %%
# The split is no loss of a third: returns are of adjusted closes. Had the file no such column, it would be refused
# until you say what its closes are.

figure, (top, bottom) = plt.subplots(2, 1, figsize=(8, 4.6), sharex=True, layout="constrained")
time = pd.to_datetime(pd.Series(prices.dates))
raw = pd.read_csv(folder / "BETA.csv", parse_dates=["Date"])
for closes, ticker, color in zip(prices.closes.T, prices.tickers, COLORS.values(), strict=False):
    top.plot(time, closes, label=ticker, color=color)
top.plot(raw["Date"], raw["Close"], color=COLORS["ink"], ls=":", label="BETA as paid")
top.set(ylabel="close")
top.legend(frameon=False, ncols=5)
bottom.plot(time[1:], np.diff(np.log(prices.closes), axis=0), lw=0.8)
bottom.set(ylabel="log return")
plt.show()

# %%
# Relations: a table of tickers and sectors, an edge list, or a JSON of groups. Two stocks of one sector are joined both
# ways.

relations = load_relations(folder / "sectors.tsv", prices.tickers)
print(relations.names, relations.edge_index.tolist())

# %%
# A leak-free set of samples (statistics of the training part alone, a gap between the parts), and one step of a model.

samples = leak_free(prices, gap=2, lookback=8)
model = TemporalGCN(samples.x.shape[2], 16, 1, order="time_then_space")
day = samples.validation[0]
forecast, _ = model(samples.x[day - 7 : day + 1], relations.edge_index)
print(f"a forecast for each of {len(prices.tickers)} stocks after {prices.dates[day]}:", forecast[-1, :, 0].shape)

# %%
# What cannot be read is refused by name. Nothing is guessed:

(folder / "GAMA.csv").write_text("Date,Close\n2024-01-02,50.1\n2024-01-03,minus\n")
try:
    load_prices(folder)
except ValueError as error:
    print(str(error).replace(str(folder), "prices"))
