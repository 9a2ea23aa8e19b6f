"""Cluster-robust standard errors, CR2 with Satterthwaite degrees of freedom, for many regressors at once.

Bell & McCaffrey 2002; Pustejovsky & Tipton 2018. Each regressor is a fit of its own; they share rows, fixed effects and
controls. Legend: R rows of all, r of one cluster, K regressors, k controls, C clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TINY = 1e-10  # relative size below which a direction counts as determined by the others


@dataclass(frozen=True)
class Fits:
    """Least-squares fits with fixed effects. x [R, K]: regressors freed of fixed effects and controls."""

    x: np.ndarray
    residual: np.ndarray  # [R, K]
    basis: np.ndarray  # [R, k] orthonormal, spans the controls within groups
    codes: np.ndarray  # [R] fixed-effect group


@dataclass(frozen=True)
class Clustered:
    """se and df None: fewer informative clusters than the minimum, or the controls fit each of them whatever it is."""

    se: float | None
    df: float | None
    clusters: int


def cluster_robust(fits: Fits, clusters: np.ndarray, minimum: int) -> list[Clustered]:
    """For each regressor. Clusters where it does not vary carry nothing and do not count."""
    square = np.sum(fits.x**2, axis=0)
    number = np.unique(clusters, return_inverse=True)[1]
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(number.max(initial=-1) + 1))
    informs = np.add.reduceat(fits.x[order] ** 2, starts, axis=0) > TINY * square  # [C, K]
    enough = informs.sum(axis=0) >= minimum
    results = [Clustered(None, None, int(count)) for count in informs.sum(axis=0)]
    if not enough.any():
        return results
    x, sizes = fits.x[:, enough] / np.sqrt(square[enough]), np.bincount(fits.codes)
    adjusted = np.empty_like(x)
    for rows in np.split(order, starts[1:]):
        own = fits.basis[rows]
        adjusted[rows] = _leverage_adjusted(x[rows], own[:, own.any(axis=0)], fits.codes[rows], sizes)
    adjusted /= np.sqrt(square[enough])
    scores = np.add.reduceat((adjusted * fits.residual[:, enough])[order], starts, axis=0)
    for k, column in enumerate(np.flatnonzero(enough)):
        use = informs[:, column]
        gram = _gram(adjusted[:, k], np.column_stack([fits.basis, x[:, k]]), fits.codes, sizes, number)[use][:, use]
        if np.sum(gram**2) > 0:  # else it is of the size of what rounding leaves
            df = float(np.trace(gram) ** 2 / np.sum(gram**2))
            results[column] = Clustered(float(np.linalg.norm(scores[use, k])), df, int(use.sum()))
    return results


def _gram(load: np.ndarray, basis: np.ndarray, codes: np.ndarray, sizes: np.ndarray, number: np.ndarray) -> np.ndarray:
    """[C, C] inner products of the clusters' loads [R] after the projection off fixed effects and basis."""
    clusters = int(number.max()) + 1
    place = number * len(sizes) + codes
    means = np.bincount(place, weights=load, minlength=clusters * len(sizes)).reshape(clusters, -1) / np.sqrt(sizes)
    parts = [np.bincount(number, weights=load * column, minlength=clusters) for column in basis.T]
    along = np.column_stack([means, *parts])
    return np.asarray(np.diag(np.bincount(number, weights=load**2, minlength=clusters)) - along @ along.T)


def _leverage_adjusted(x: np.ndarray, basis: np.ndarray, codes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(I - H)^(-1/2) x [r, K] over a cluster's rows, H its block of the hat matrix; directions of leverage 1 left out.

    H = E + B B^T with B the basis and x of unit length, and E the fixed effects', whose eigenvectors are the groups'
    indicators. Both leave the span of B's parts in each eigenspace of E alone: few columns, however many groups.
    """
    own, place, count = np.unique(codes, return_inverse=True, return_counts=True)
    leverage, kind = np.unique(count / sizes[own], return_inverse=True)
    indicator = np.zeros((len(codes), len(own)))
    indicator[np.arange(len(codes)), place] = 1 / np.sqrt(count[place])
    shared, each = [basis], [x]
    for level, value in enumerate(leverage):
        groups = indicator[:, kind == level]
        along = groups.T @ basis
        left, singular, _ = np.linalg.svd(along, full_matrices=False)
        left = left[:, singular > TINY * max(float(np.linalg.norm(basis)), TINY)]
        rest = groups.T @ x
        size = np.linalg.norm(rest, axis=0)
        rest -= left @ (left.T @ rest)
        length = np.linalg.norm(rest, axis=0)
        new = length > TINY * np.maximum(size, TINY)
        shared.append(np.sqrt(value) * (groups @ left))
        each.append(np.sqrt(value) * (groups @ np.where(new, rest / np.where(new, length, 1), 0)))
    same = np.broadcast_to(np.column_stack(shared), (x.shape[1], len(x), sum(part.shape[1] for part in shared)))
    q = np.concatenate([same, np.stack(each, axis=2).transpose(1, 0, 2)], axis=2)  # [K, r, columns]
    vectors, singular, _ = np.linalg.svd(q, full_matrices=False)
    left = 1 - singular**2
    factor = np.where(left > 1e-8, 1 / np.sqrt(np.where(left > 1e-8, left, 1)), 0) - 1
    along = factor * np.einsum("krc,rk->kc", vectors, x)
    return np.asarray(x + np.einsum("krc,kc->rk", vectors, along))
