# %% [markdown]
# # Distance and width
#
# The paper's first observation: wider networks do not move farther from their initialization. Here it takes 12 small
# networks and some seconds.

# %%
import pandas as pd
import seaborn as sns

from initdist import network_configs, train_networks

configs = network_configs("model.width=16,64,256", "seed=range(0,4)", "dataset.train_size=320")
results = train_networks(configs, progress=False)
len(results)

# %% [markdown]
# Each result has the metrics that MLflow would get.

# %%
frame = pd.DataFrame(
    {
        "width": result.config.model.width,
        "from the initialization": result.metrics["distance_from_init"],
        "from the origin": result.metrics["measure/param_norm"] ** 0.5,
        "test error": result.metrics["test_error"],
    }
    for result in results
)
frame.groupby("width").mean().round(3)

# %% [markdown]
# The distance from the origin grows with the width, because the initialization does. The distance from the
# initialization does not.

# %%
axis = sns.lineplot(frame.melt(["width", "test error"], var_name="distance"), x="width", y="value", hue="distance")
axis.set(xscale="log", yscale="log", ylabel="distance (l2)")
