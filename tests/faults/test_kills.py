"""The short version of `make faults`: a few kills over three optimizers."""

from tests.faults import kills


def test_a_sweep_that_is_killed_over_and_over_is_the_undisturbed_one_in_the_end(tmp_path):
    grid = ("-m", "optimizer=sgd,momentum,adam", "model.width=8", "seed=range(0,3)", *kills.EACH)
    tally = kills.spend(tmp_path, kills=5, seed=1, overrides=grid, most=5)
    assert tally.kills == 5
    assert tally.networks == 9 * tally.sweeps
    assert (tally.lost, tally.twice, tally.incomplete, tally.left) == (0, 0, 0, 0)
