"""Fashion-MNIST (Xiao, Rasul, Vollgraf 2017): 60,000 + 10,000 gray 28x28 articles of clothing."""

from initdist.config.schema import DatasetConfig
from initdist.data.datasets import Arrays, Description, _idx, _torchvision

SOURCE = _torchvision.Source(
    "FashionMNIST",
    "FashionMNIST/raw",
    {
        "train-images-idx3-ubyte": 16 + 60000 * 28 * 28,
        "train-labels-idx1-ubyte": 8 + 60000,
        "t10k-images-idx3-ubyte": 16 + 10000 * 28 * 28,
        "t10k-labels-idx1-ubyte": 8 + 10000,
    },
    compressed=True,
)


def describe(config: DatasetConfig) -> Description:
    return _torchvision.describe(SOURCE, config, (1, 28, 28), (60000, 10000, 6000))


def prepare(config: DatasetConfig) -> None:
    _torchvision.prepare(SOURCE, config)


def load(config: DatasetConfig) -> Arrays:
    return _torchvision.load(SOURCE, config, _idx.read_split)
