# %% [markdown]
# # Judge a measure
#
# Track networks in MLflow, read them back as a frame, and ask which measure goes with the generalization gap.

# %%
import os
import subprocess
import sys
import tempfile

os.chdir(tempfile.mkdtemp())  # the store is made here
sweep = ["model.width=16,64", "dataset.train_size=160,640", "noise.level=0,0.5", "seed=range(0,3)"]
done = subprocess.run([sys.executable, "-m", "initdist.train", "-m", *sweep], capture_output=True, text=True)
print(done.stdout)

# %% [markdown]
# One row a network:

# %%
from multirun_analysis import claims, figures, league_table, load_runs

runs = load_runs()
runs.groupby(["dataset.train_size", "noise.level", "model.width"])["distance_from_init"].mean().unstack().round(2)

# %% [markdown]
# The league table ranks every logged measure. `tau_within` is Kendall's tau within groups of equal data.

# %%
table = league_table(runs)
table.table[["measure", "tau_within", "tau_within_low", "tau_within_high"]].head(8).round(2)

# %% [markdown]
# The paper's claims, each with its verdict on these networks:

# %%
for result in claims(runs):
    print(result.claim.id, result.verdict, "-", result.statement)

# %%
with figures.theme():
    drawing = figures.distance_against_width(runs, table.design)
print(drawing.caption)
drawing.figure
