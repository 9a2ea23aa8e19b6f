"""The main job as a sweep of Lightning, Hydra's joblib launcher and MLflow's logger: what a user would write instead.

    python benchmarks/lightning_sweep.py -m width=64,256,1024 noise=0,0.25,0.5 'seed=range(0,3)' uri=sqlite:///peer.db

One network a job, one single-threaded process a core. The same digits, samples a network, noise, initialization, rate,
batches and stop rule as initdist's main job, and of what that tracks the distance, losses, errors and gap, at the end
and along the way. Needs the extra `bench`.
"""

from __future__ import annotations

import logging
import os
import warnings
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import hydra
import lightning
import numpy as np
import torch
import torch.nn.functional as F
from hydra.core.config_store import ConfigStore
from lightning.pytorch.loggers import MLFlowLogger
from omegaconf import MISSING, OmegaConf
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from initdist import cores
from initdist.config.schema import DatasetConfig
from initdist.data.datasets import load

CLASSES = 10
CHECK_FACTOR = 10.0  # the training loss is not computed before the epoch's mean batch loss is within ten times of it
POINTS = 25  # of a history, log-spaced


@dataclass
class Config:
    uri: str = MISSING
    width: int = 256
    noise: float = 0.0
    seed: int = 0
    train_size: int = 1280
    lr: float = 0.1
    batch_size: int = 64
    train_loss: float = 0.01
    max_epochs: int = 1000


ConfigStore.instance().store("fields", Config)
ConfigStore.instance().store(
    "peer",
    {
        "defaults": ["fields", {"override hydra/launcher": "joblib"}, "_self_"],
        "hydra": {
            "launcher": {"n_jobs": cores.usable()},
            "sweep": {"dir": "multirun/${now:%H-%M-%S-%f}"},
            "job": {"env_set": {"OMP_NUM_THREADS": "1"}},
        },
    },
)


class Digits(lightning.LightningDataModule):
    """Training samples and noisy labels of one seed, normalized by their own mean and deviation; all test samples."""

    def __init__(self, train_size: int, noise: float, seed: int, batch_size: int) -> None:
        super().__init__()
        digits, random = load(DatasetConfig(name="digits", train_size=train_size)), np.random.default_rng(seed)
        rows = random.permutation(len(digits.train_labels))[:train_size]
        inputs, tested = (
            torch.from_numpy(part / 16).float() for part in (digits.train_inputs[rows], digits.test_inputs)
        )
        labels = torch.from_numpy(digits.train_labels[rows])
        mean, std = inputs.mean(), inputs.std(correction=0)
        hit = torch.from_numpy(random.random(train_size) < noise)
        labels[hit] = torch.from_numpy(random.integers(0, CLASSES, int(hit.sum())))
        self.train = TensorDataset((inputs - mean) / std, labels)
        self.test = TensorDataset((tested - mean) / std, torch.from_numpy(digits.test_labels))
        self.batch_size = batch_size

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.train, self.batch_size, shuffle=True)


class Network(lightning.LightningModule):
    """A two-layer perceptron that stops at a training loss."""

    def __init__(self, config: Config, data: Digits) -> None:
        super().__init__()
        self.config, self.data = config, data
        sizes = (64, config.width, config.width, CLASSES)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        for layer in self.layers:
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.initial = deepcopy(self.layers.state_dict())
        self.recorded = set(np.geomspace(1, config.max_epochs, POINTS).round().astype(int).tolist())
        self.losses: list[Tensor] = []

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = inputs.flatten(1)
        for layer in self.layers[:-1]:
            hidden = F.relu(layer(hidden))
        return self.layers[-1](hidden)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.config.lr)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        loss = F.cross_entropy(self(batch[0]), batch[1])
        self.losses.append(loss.detach() * len(batch[0]))
        return loss

    def on_train_epoch_end(self) -> None:
        mean = float(torch.stack(self.losses).sum()) / len(self.data.train)
        self.losses.clear()
        epoch = self.current_epoch + 1
        wanted = self.config.train_loss
        ended = mean <= CHECK_FACTOR * wanted and self.score(self.data.train)[0] <= wanted
        if ended or epoch in self.recorded:
            self.log_dict(self.values())
        self.trainer.should_stop = ended

    @torch.no_grad()
    def score(self, data: TensorDataset) -> tuple[float, float]:
        """Mean loss and error."""
        inputs, labels = data.tensors
        logits = self(inputs)
        return float(F.cross_entropy(logits, labels)), float((logits.argmax(-1) != labels).float().mean())

    def values(self) -> dict[str, float]:
        (train_loss, train_error), (test_loss, test_error) = self.score(self.data.train), self.score(self.data.test)
        now = self.layers.state_dict()
        moved = [(p - self.initial[name]).double().square().sum() for name, p in now.items()]
        return {
            "distance_from_init": float(torch.stack(moved).sum().sqrt()),
            "train_loss": train_loss,
            "test_loss": test_loss,
            "train_error": train_error,
            "test_error": test_error,
            "generalization_gap": test_error - train_error,
        }


@hydra.main(config_path=None, config_name="peer", version_base="1.3")
def main(config: Config) -> None:
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    torch.set_num_threads(1)
    lightning.seed_everything(config.seed, verbose=False)
    data = Digits(config.train_size, config.noise, config.seed, config.batch_size)
    network = Network(config, data)
    logger = MLFlowLogger("peer", tracking_uri=config.uri)
    logger.log_hyperparams(OmegaConf.to_container(config))
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=config.max_epochs,
        logger=logger,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=10**6,
    )
    trainer.fit(network, datamodule=data)
    torch.save(network.layers.state_dict(), "weights.pt")
    logger.experiment.log_artifact(logger.run_id, "weights.pt")


if __name__ == "__main__":
    main()
