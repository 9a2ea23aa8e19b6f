"""CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 color 32x32 photographs.

Its files are pickles: nothing of them is read before their digests are those that the authors' copy has.
"""

from initdist.config.schema import DatasetConfig
from initdist.data.datasets import Arrays, Description, _torchvision

SOURCE = _torchvision.Source(
    "CIFAR10",
    "cifar-10-batches-py",
    {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
)


def describe(config: DatasetConfig) -> Description:
    return _torchvision.describe(SOURCE, config, (3, 32, 32), (50000, 10000, 5000))


def prepare(config: DatasetConfig) -> None:
    _torchvision.prepare(SOURCE, config)


def load(config: DatasetConfig) -> Arrays:
    return _torchvision.load(SOURCE, config)
