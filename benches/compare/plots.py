"""Plots of what was measured, as SVG. Runs under the environment that has matplotlib.

plots.py RESULT_JSON SVG
"""

import json
import re
import sys

import matplotlib

matplotlib.use("svg")
# The same figures give the same file, and text stays text.
matplotlib.rcParams.update({"svg.hashsalt": "geminid", "svg.fonttype": "none", "font.size": 9})

from matplotlib import pyplot  # noqa: E402

OURS, OTHERS = "#b5451b", "#7a8793"


def compare(result, figure):
    """CPU of a call as a multiple of nginx's, on a logarithmic scale: the peers lie far apart."""
    peers = [it for it in result["peers"].values() if it.get("ratio_64")]
    for axes, connections in zip(figure.subplots(1, 2, sharey=True), (64, 1), strict=True):
        names = [re.sub(r"[*`]", "", it["title"]) for it in peers]
        found = [it[f"ratio_{connections}"] for it in peers]
        middles = [it[0] for it in found]
        errors = [[it[0] - it[1] for it in found], [it[2] - it[0] for it in found]]
        colours = [OURS if "geminid" in it else OTHERS for it in names]
        axes.barh(names, middles, xerr=errors, color=colours, error_kw={"elinewidth": 1, "capsize": 2})
        axes.axvline(1, color="black", linewidth=0.8, linestyle=":")
        axes.set_xscale("log")
        axes.set_xlim(0.5, 30)
        axes.set_xticks([0.5, 1, 2, 5, 10, 20], ["½", "1", "2", "5", "10", "20"])
        axes.minorticks_off()
        axes.set_xlabel(f"CPU a call, × nginx, {connections} connection{'s' if connections > 1 else ''}")
        for place, middle in enumerate(middles):
            axes.text(0.55, place, f"{middle:.2f}", va="center", color="white", fontsize=8)
    figure.axes[0].invert_yaxis()
    figure.set_size_inches(9, 0.42 * len(peers) + 0.9)


def growth(result, figure):
    """Flat where it should be."""
    found = result["found"]
    names = {
        "clients": "clients", "grants": "accounts, addresses and ranges of the client", "keys": "keys",
        "body": "bytes of the body", "connections": "connections",
    }
    figure.set_size_inches(9, 5.4)
    grid = figure.subplots(2, 3, sharey=True).flat
    for axes, (axis, points) in zip(grid, found.items(), strict=False):
        sizes = [it["n"] for it in points]
        axes.fill_between(sizes, [it["ratio"][1] for it in points], [it["ratio"][2] for it in points], color=OURS, alpha=0.2)
        axes.plot(sizes, [it["ratio"][0] for it in points], color=OURS, marker="o", markersize=3)
        axes.axhline(1, color="black", linewidth=0.8, linestyle=":")
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_xlabel(names[axis])
    for axes in list(figure.axes)[len(found):]:
        axes.remove()
    figure.supylabel("CPU a call, as a multiple", fontsize=9)


def main():
    source, target = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        result = json.load(file)
    figure = pyplot.figure(layout="constrained")
    {"compare": compare, "growth": growth}[result["name"]](result, figure)
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main()
