"""The slope with fixed effects against independent computations: statsmodels, lstsq, closed forms, coverage."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats as scipy_stats

from multirun_analysis.stats.regression.ols import MINIMUM, fit_slope, fit_slopes


def planted(seed=0, groups=5, each=6, slope=1.5, controls=2):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(groups), each)
    z = rng.normal(size=(groups * each, controls))
    x = rng.normal(size=groups * each) + codes + z @ np.ones(controls)
    y = slope * x - 3 * codes + z @ np.arange(1.0, controls + 1) + rng.normal(size=groups * each)
    return y, x, codes, z


def dummies(codes):
    return (codes[:, None] == np.unique(codes)[None, :]).astype(float)


@pytest.mark.parametrize("with_groups", [False, True])
@pytest.mark.parametrize("with_controls", [False, True])
def test_slope_and_interval_agree_with_statsmodels(with_groups, with_controls):
    y, x, codes, z = planted()
    design = [x[:, None], dummies(codes) if with_groups else np.ones((len(x), 1)), *([z] if with_controls else [])]
    model = sm.OLS(y, np.hstack(design)).fit()
    slope = fit_slope(y, x, groups=codes if with_groups else None, controls=z if with_controls else None)
    low, high = model.conf_int()[0]
    assert slope.slope == pytest.approx(model.params[0], rel=1e-9)
    assert slope.interval.se == pytest.approx(model.bse[0], rel=1e-9)
    assert (slope.interval.low, slope.interval.high) == pytest.approx((low, high), rel=1e-9)
    assert slope.interval.p == pytest.approx(model.pvalues[0], rel=1e-6)
    assert slope.interval.df == model.df_resid


def test_redundant_controls_cost_no_degree_of_freedom():
    y, x, codes, z = planted()
    twice = np.hstack([z, z @ [[1.0], [2.0]], np.ones((len(x), 1)), 1e-6 * z[:, :1]])
    expected, found = (fit_slope(y, x, groups=codes, controls=controls).interval for controls in (z, twice))
    assert found.df == expected.df
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_plain_regression_agrees_with_lstsq_and_a_t_quantile():
    y, x, _, _ = planted(groups=2)
    design = np.column_stack([x, np.ones_like(x)])
    (b, _), squares, *_ = np.linalg.lstsq(design, y)
    se = np.sqrt(squares[0] / (len(x) - 2) * np.linalg.inv(design.T @ design)[0, 0])
    half = scipy_stats.t.ppf(0.975, len(x) - 2) * se
    interval = fit_slope(y, x).interval
    assert (interval.low, interval.high) == pytest.approx((b - half, b + half))
    assert fit_slope(y, x).r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)


def test_a_group_of_one_carries_nothing():
    y, x, codes, _ = planted()
    more = fit_slope(np.append(y, 99.0), np.append(x, -99.0), groups=np.append(codes, 77))
    assert more == fit_slope(y, x, groups=codes)
    assert fit_slope(y, x, groups=np.arange(len(x))).note == "no group holds two configurations"


@pytest.mark.parametrize("rows", [2, 3, MINIMUM - 1, MINIMUM])
def test_few_points_are_undecided_without_an_interval(rows):
    y, x, _, _ = planted()
    slope = fit_slope(y[:rows], x[:rows])
    assert slope.slope is not None
    assert (slope.interval is None) == (rows < MINIMUM)
    if rows < MINIMUM:
        assert slope.verdict == "undecided"
        assert slope.note == f"{rows} configurations, but an interval needs at least 6"


def test_a_regressor_that_is_constant_or_determined_is_said_to_be():
    y, x, codes, z = planted()
    assert fit_slope(y, np.full_like(x, 0.1)).note == "the regressor does not vary"
    assert fit_slope(y, codes.astype(float), groups=codes).note == "the regressor does not vary"
    assert (
        fit_slope(y, z @ [1.0, -2.0] + codes, groups=codes, controls=z).note == "the controls determine the regressor"
    )


def test_verdict_follows_the_sign_of_the_interval():
    y, x, codes, z = planted()
    assert fit_slope(y, x, groups=codes, controls=z).verdict == "positive"
    assert fit_slope(-y, x, groups=codes, controls=z).verdict == "negative"
    noise = np.random.default_rng(1).normal(size=len(x))
    assert fit_slope(noise, x, groups=codes).verdict == "includes 0"


def test_cluster_robust_slope_has_the_closed_form_of_a_t_test_between_pairs():
    """A treatment within each of G equal clusters: CR2 is the t interval of the G differences, df = G - 1."""
    rng = np.random.default_rng(3)
    differences = rng.normal(1, 1, size=8)
    y = np.concatenate([[-d / 2, d / 2] for d in differences]) + np.repeat(rng.normal(size=8), 2)
    x = np.tile([0.0, 1.0], 8)
    codes = np.repeat(np.arange(8), 2)
    expected = scipy_stats.ttest_1samp(differences, 0).confidence_interval()
    found = fit_slope(y, x, groups=codes, clusters=codes).clustered
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-8)
    assert (found.df, found.points) == (pytest.approx(7), 8)


def test_cr2_agrees_with_the_textbook_formula_on_the_full_design():
    """Bell & McCaffrey with explicit dummies and a symmetric inverse root of I - H in each cluster."""
    y, x, codes, z = planted(groups=4, each=9)
    clusters = np.tile(np.repeat(np.arange(9), 1), 4)
    design = np.hstack([x[:, None], dummies(codes), z])
    bread = np.linalg.inv(design.T @ design)
    hat = design @ bread @ design.T
    residual = y - hat @ y
    scores, loads = [], []
    for cluster in range(9):
        rows = np.flatnonzero(clusters == cluster)
        values, vectors = np.linalg.eigh(np.eye(len(rows)) - hat[np.ix_(rows, rows)])
        root = vectors @ np.diag(values**-0.5) @ vectors.T
        weights = (root @ design[rows] @ bread)[:, 0]
        scores.append(weights @ residual[rows])
        loads.append((np.eye(len(x)) - hat)[:, rows] @ weights)
    gram = np.array(loads) @ np.array(loads).T
    found = fit_slope(y, x, groups=codes, controls=z, clusters=clusters).clustered
    assert found.se == pytest.approx(np.sqrt(np.sum(np.square(scores))), rel=1e-8)
    assert found.df == pytest.approx(np.trace(gram) ** 2 / np.sum(gram**2), rel=1e-8)


def test_five_clusters_are_undecided():
    y, x, codes, _ = planted(groups=5)
    slope = fit_slope(y, x, groups=codes, clusters=codes)
    assert slope.interval is not None
    assert (slope.clustered, slope.clusters) == (None, 5)


def test_intervals_cover_the_planted_slope():
    """2,000 worlds of 3 groups with 3 configurations; normal quantiles would cover about 88%."""
    rng = np.random.default_rng(5)
    codes = np.repeat(np.arange(3), 3)
    hits = 0
    for _ in range(2000):
        x = rng.normal(size=9) + codes
        y = 2 * x - 5 * codes + rng.normal(size=9)
        interval = fit_slope(y, x, groups=codes).interval
        hits += interval.low < 2 < interval.high
    assert 0.935 < hits / 2000 < 0.965


def test_clustered_intervals_cover_where_clusters_share_misfit():
    """Random slopes of 8 clusters: the plain interval is too narrow, the clustered one covers."""
    rng = np.random.default_rng(6)
    codes = np.repeat(np.arange(8), 5)
    plain = clustered = 0
    for _ in range(600):
        x = rng.normal(size=40)
        y = (1 + rng.normal(0, 1, 8)[codes]) * x + rng.normal(0, 0.3, 40)
        slope = fit_slope(y, x, groups=codes, clusters=codes)
        plain += slope.interval.low < 1 < slope.interval.high
        clustered += slope.clustered.low < 1 < slope.clustered.high
    assert plain / 600 < 0.85
    assert 0.91 < clustered / 600 < 0.98


def test_many_regressors_at_once_are_each_its_own_fit():
    rng = np.random.default_rng(21)
    groups, clusters, controls = rng.integers(5, size=60), rng.integers(9, size=60), rng.normal(size=(60, 2))
    x = np.column_stack([rng.normal(size=(60, 3)), controls[:, 0], np.ones(60), clusters == 1]).astype(float)
    y = rng.normal(size=60) + x[:, 0]
    options = {"groups": groups, "controls": controls, "clusters": clusters}
    together = fit_slopes(y, x, **options)
    assert [item.note for item in together[3:5]] == [
        "the controls determine the regressor",
        "the regressor does not vary",
    ]
    for column, found in zip(x.T, together, strict=True):
        alone = fit_slope(y, column, **options)
        assert (found.note, found.points, found.clusters) == (alone.note, alone.points, alone.clusters)
        for one, two in ((found.interval, alone.interval), (found.clustered, alone.clustered)):
            assert (one is None) == (two is None)
            if one is not None:
                assert (one.low, one.high, one.df) == pytest.approx((two.low, two.high, two.df))


def test_clustered_errors_are_those_of_the_definition_with_unbalanced_groups():
    # CR2 with the square root of the whole matrix, and Satterthwaite from the residual maker, both by eigenvalues.
    rng = np.random.default_rng(22)
    groups, clusters = rng.integers(8, size=40), rng.integers(7, size=40)
    x, z = rng.normal(size=40), rng.normal(size=(40, 2))
    y = rng.normal(size=40) + x
    found = fit_slope(y, x, groups=groups, controls=z, clusters=clusters)
    full = np.column_stack([x, z, np.eye(8)[groups]])
    maker = np.eye(40) - full @ np.linalg.pinv(full)
    rest = np.column_stack([z, np.eye(8)[groups]])
    free = x - rest @ np.linalg.pinv(rest) @ x
    loads, scores = [], []
    for cluster in range(7):
        rows = clusters == cluster
        values, vectors = np.linalg.eigh(maker[np.ix_(rows, rows)])
        root = np.where(values > 1e-8, 1 / np.sqrt(np.maximum(values, 1e-8)), 0)
        adjusted = vectors @ (root * (vectors.T @ free[rows])) / (free @ free)
        scores.append(adjusted @ (maker @ y)[rows])
        loads.append(maker[:, rows] @ adjusted)
    gram = np.array(loads) @ np.array(loads).T
    assert found.clustered.se == pytest.approx(np.linalg.norm(scores))
    assert found.clustered.df == pytest.approx(np.trace(gram) ** 2 / np.sum(gram**2))
