# %% [markdown]
# # A measure of your own
#
# Any number that you can compute from a trained network can be ranked beside the others.

# %%
import os
import subprocess
import sys
import tempfile

os.chdir(tempfile.mkdtemp())
sweep = ["model.width=16,64", "dataset.train_size=160,640", "seed=range(0,3)"]
done = subprocess.run([sys.executable, "-m", "initdist.train", "-m", *sweep], capture_output=True, text=True)
print(done.stdout)

# %% [markdown]
# `load_network` gives a tracked network as two modules: trained, and as it began. The measure here is the angle between
# the two.

# %%
import torch

from initdist import load_network
from multirun_analysis import league_table, load_runs

runs = load_runs()


def angle(run_id):
    trained, initial = load_network(run_id)
    end, start = (torch.nn.utils.parameters_to_vector(module.parameters()) for module in (trained, initial))
    return torch.acos(torch.nn.functional.cosine_similarity(end, start, dim=0)).item()


runs["measure/angle"] = [angle(run_id) for run_id in runs["run_id"]]

# %% [markdown]
# A column whose name begins with `measure/` enters the league table.

# %%
table = league_table(runs).table
table[table["measure"].isin(["angle", "distance_from_init", "param_norm"])][["measure", "tau_within", "psi"]].round(2)
