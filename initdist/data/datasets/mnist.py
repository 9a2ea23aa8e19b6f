"""MNIST (LeCun, Cortes, Burges): 60,000 + 10,000 gray 28x28 digits."""

from initdist.config.schema import DatasetConfig
from initdist.data.datasets import Arrays, Description, _idx, _torchvision

SOURCE = _torchvision.Source(
    "MNIST",
    "MNIST/raw",
    {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    compressed=True,
)


def describe(config: DatasetConfig) -> Description:
    return _torchvision.describe(SOURCE, config, (1, 28, 28), (60000, 10000, 5421))


def prepare(config: DatasetConfig) -> None:
    _torchvision.prepare(SOURCE, config)


def load(config: DatasetConfig) -> Arrays:
    return _torchvision.load(SOURCE, config, _idx.read_split)
