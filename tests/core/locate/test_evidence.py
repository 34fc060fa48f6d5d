"""Evidence of matched gallery photos, and what it does to a posterior."""

from __future__ import annotations

import numpy as np
import pytest

from core.campus.gallery import Gallery
from core.campus.grid import Grid
from core.campus.parameters import PosteriorParams
from core.campus.zones import Zones
from core.engines.heads import Heads
from core.locate.evidence import Evidence
from core.locate.posterior import Posterior


def test_a_ratio_is_found_by_its_row_and_is_nought_elsewhere() -> None:
    evidence = Evidence(np.array([[7, 2, 5], [0, 1, 9]]), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    found = evidence.at(np.array([[5, 6, 7, 99], [9, 2, 0, 3]]))
    assert found.tolist() == [[3.0, 0.0, 1.0, 0.0], [6.0, 0.0, 4.0, 0.0]]


def test_weighing_scales_every_ratio() -> None:
    assert Evidence(np.array([[3]]), np.array([[2.0]])).scaled(1.5).at(np.array([[3]])).tolist() == [[3.0]]


@pytest.fixture
def twins() -> Posterior:
    """A gallery of two places that look exactly alike, 80 m apart."""
    gallery = Gallery(np.array([[1, 0], [1, 0]], np.float32), np.array([[-40, 0], [40, 0]], np.float32))
    grid = Grid.around([[-60.0, -20.0], [60.0, 20.0]], margin_m=20.0, cell_m=2.0)
    params = PosteriorParams(regression_weight=0.01, zone_weight=0.0, retrieval_weight=0.97, floor_weight=0.02)
    return Posterior(grid, Zones(()), gallery, params, 100.0)


def test_evidence_decides_between_places_that_look_alike(twins: Posterior) -> None:
    heads = Heads(np.zeros((1, 2), np.float32), embedding=np.array([[1, 0]], np.float32))
    east = np.array([[40.0, 0.0]])
    rows = np.array([[0, 1]])
    assert abs(twins.map(heads).median_m()[0]) < 39  # between the two, or at either
    for sign, at in ((1, 40.0), (-1, -40.0)):
        evidence = Evidence(rows, np.array([[0.0, 4.0 * sign]]))
        assert twins.map(heads, evidence).median_m()[0] == pytest.approx(at, abs=2.0)
    better, none, worse = (
        twins.log_likelihood(heads, east, evidence)[0]
        for evidence in (Evidence(rows, np.array([[0.0, 4.0]])), None, Evidence(rows, np.array([[0.0, -4.0]])))
    )
    assert better > none > worse


def test_evidence_on_photos_that_are_no_neighbours_changes_nothing(twins: Posterior) -> None:
    heads = Heads(np.zeros((1, 2), np.float32), embedding=np.array([[1, 0]], np.float32))
    with_other = twins.map(heads, Evidence(np.array([[17]]), np.array([[9.0]])))
    np.testing.assert_array_equal(with_other.mass, twins.map(heads).mass)
