from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.campus.gallery import Gallery
from core.campus.grid import Grid, nearest_by_cell
from core.campus.parameters import PosteriorParams
from core.campus.zones import Zone, Zones
from core.engines.heads import Heads
from core.locate.mixture import softmax
from core.locate.posterior import Posterior
from core.locate.probability_map import ProbabilityMap

GRID = Grid(-100.0, -100.0, 2.0, 100, 100)
TWO_ZONES = Zones(
    tuple(
        Zone(name, (east, 0.0), 10.0, ((east - 50, -100), (east + 50, -100), (east + 50, 100), (east - 50, 100)))
        for name, east in (("West", -50.0), ("East", 50.0))
    )
)
NO_ZONES = Zones(())


def blob(at: tuple[float, float], width_m: float, grid: Grid = GRID) -> Any:
    squared = ((grid.centres_m - at) ** 2).sum(axis=1) / width_m**2
    mass = np.exp(-0.5 * squared).reshape(grid.rows, grid.columns)
    return np.asarray(mass / mass.sum())


def heads(
    east_m: float = 0.0,
    north_m: float = 0.0,
    zone_logits: list[float] | None = None,
    embedding: list[float] | None = None,
    log_spread: float | None = None,
) -> Heads:
    def batch(values: list[float] | None) -> np.ndarray | None:
        return None if values is None else np.array([values], np.float32)

    return Heads(
        np.array([[east_m / 100, north_m / 100]], np.float32),
        batch(zone_logits),
        batch(embedding),
        None if log_spread is None else batch([log_spread]),
    )


def test_rows_go_north_and_columns_go_east() -> None:
    grid = Grid(0.0, 10.0, 2.0, 3, 2)
    assert grid.centres_m.tolist() == [[1, 11], [3, 11], [1, 13], [3, 13], [1, 15], [3, 15]]


def test_grid_around_points_holds_them_with_the_margin() -> None:
    grid = Grid.around(np.array([[0.0, 0.0], [10.0, 30.0]]), margin_m=5.0, cell_m=2.0)
    assert (grid.west_m, grid.south_m, grid.columns, grid.rows) == (-5.0, -5.0, 10, 20)


@pytest.mark.parametrize("width_m", [3.0, 10.0, 25.0])
def test_radii_of_a_gaussian_are_those_of_rayleigh(width_m: float) -> None:
    probability = ProbabilityMap(GRID, blob((0.0, 0.0), width_m))
    at = probability.median_m()
    assert at == pytest.approx([0, 0], abs=0.05)
    r68, r95 = probability.radii_m(at, (0.68, 0.95))
    assert r68 == pytest.approx(width_m * np.sqrt(-2 * np.log(0.32)), abs=1.2)
    assert r95 == pytest.approx(width_m * np.sqrt(-2 * np.log(0.05)), abs=1.2)


def test_the_fix_is_the_point_of_least_expected_distance() -> None:
    mass = 0.6 * blob((-40.0, -20.0), 6.0) + 0.4 * blob((50.0, 30.0), 10.0)
    probability = ProbabilityMap(GRID, mass)
    expected = [(np.linalg.norm(GRID.centres_m - at, axis=1) * mass.ravel()).sum() for at in GRID.centres_m[::7]]
    best = (np.linalg.norm(GRID.centres_m - probability.median_m(), axis=1) * mass.ravel()).sum()
    assert best <= min(expected) + 0.05


def test_a_sharper_map_is_read_nearer_its_best_place_and_holds_the_same_circles() -> None:
    mass = 0.6 * blob((-40.0, -20.0), 6.0) + 0.4 * blob((50.0, 30.0), 10.0)
    plain, sharp = ProbabilityMap(GRID, mass), ProbabilityMap(GRID, mass, sharpness=2.0)
    off_m = [float(np.linalg.norm(one.median_m() - (-40, -20))) for one in (plain, sharp)]
    assert off_m[1] < off_m[0] / 2
    at_m = np.array([-40.0, -20.0])
    assert sharp.radii_m(at_m, (0.5, 0.95)) == plain.radii_m(at_m, (0.5, 0.95))


def test_two_places_that_fit_are_two_candidates() -> None:
    probability = ProbabilityMap(GRID, 0.3 * blob((-60.0, 0.0), 5.0) + 0.7 * blob((60.0, 40.0), 5.0))
    first, second = probability.candidates()
    assert first == pytest.approx((60, 40, 0.7), abs=0.1)
    assert second == pytest.approx((-60, 0, 0.3), abs=0.1)


def test_one_place_is_one_candidate() -> None:
    assert len(ProbabilityMap(GRID, blob((0.0, 0.0), 6.0)).candidates()) == 1


def test_a_map_sums_to_one_whatever_votes() -> None:
    gallery = Gallery(np.eye(4, 8, dtype=np.float32), np.array([[0, 0], [9, 9], [-30, 5], [70, 70]], np.float32))
    embedding = [1.0] + [0.0] * 7
    cases = [
        (NO_ZONES, None, heads()),
        (TWO_ZONES, None, heads(zone_logits=[0.0, 1.0])),
        (TWO_ZONES, gallery, heads(zone_logits=[0.0, 1.0], embedding=embedding, log_spread=-1.0)),
        (NO_ZONES, gallery, heads(1e6, -1e6, embedding=embedding)),  # a regression far off the campus
    ]
    for zones, components, answer in cases:
        mass = Posterior(GRID, zones, components, PosteriorParams(), 100.0).map(answer).mass
        assert mass.shape == (100, 100)
        assert mass.sum() == pytest.approx(1.0)
        assert (mass > 0).all()


def test_each_component_pulls_the_fix_to_its_own_place() -> None:
    gallery = Gallery(np.eye(2, dtype=np.float32), np.array([[0, -80], [0, 80]], np.float32))

    def fix(**weights: float) -> np.ndarray:
        none = {"regression_weight": 0.0, "zone_weight": 0.0, "retrieval_weight": 0.0, "floor_weight": 0.01}
        params = PosteriorParams(**{**none, **weights})  # type: ignore[arg-type]
        answer = heads(30, 30, zone_logits=[0.0, 9.0], embedding=[0.0, 1.0])
        return Posterior(GRID, TWO_ZONES, gallery, params, 100.0).map(answer).median_m()

    assert fix(regression_weight=0.99) == pytest.approx([30, 30], abs=1)
    assert fix(zone_weight=0.99) == pytest.approx([50, 0], abs=1)
    assert fix(retrieval_weight=0.99) == pytest.approx([0, 80], abs=1)


def test_likelihood_and_map_are_one_formula() -> None:
    gallery = Gallery(np.eye(2, dtype=np.float32), np.array([[10, -20], [0, 30]], np.float32))
    posterior = Posterior(GRID, TWO_ZONES, gallery, PosteriorParams(), 100.0)
    answer = heads(5, 5, zone_logits=[1.0, 0.0], embedding=[0.6, 0.8])
    row, column = 52, 48
    at = np.array([[GRID.east_m[column], GRID.north_m[row]]])
    density = posterior.map(answer).mass[row, column] / GRID.cell_m**2
    assert np.exp(posterior.log_likelihood(answer, at)[0]) == pytest.approx(density, rel=0.02)


def test_zone_odds_are_the_mass_in_each_cell() -> None:
    posterior = Posterior(GRID, TWO_ZONES, None, PosteriorParams(), 100.0)
    odds = posterior.zone_odds(ProbabilityMap(GRID, 0.8 * blob((50.0, 0.0), 5.0) + 0.2 * blob((-50.0, 0.0), 5.0)))
    assert odds == pytest.approx([0.2, 0.8], abs=1e-6)


@pytest.mark.parametrize(("rows", "columns", "zones"), [(1, 1, 1), (40, 23, 7), (33, 70, 300)])
def test_each_cell_goes_to_the_nearest_centre(rows: int, columns: int, zones: int) -> None:
    grid = Grid(-31.0, 7.0, 2.0, rows, columns)
    centres = np.random.default_rng(zones).uniform((-40, 0), (120, 90), (zones, 2))
    distance = np.linalg.norm(grid.centres_m[:, None] - centres, axis=2)
    assert (nearest_by_cell(grid, centres).ravel() == distance.argmin(axis=1)).all()


def test_zones_reach_every_cell_that_they_vote_for() -> None:
    """The map is put together band by band from the zones near each; the whole mixture says the same everywhere."""
    grid = Grid(0.0, 0.0, 2.0, 120, 90)
    random = np.random.default_rng(1)
    centres = random.uniform((0, 0), (180, 240), (60, 2))
    zones = Zones(tuple(Zone(str(k), (float(e), float(n)), 1 + k % 9, ()) for k, (e, n) in enumerate(centres)))
    posterior = Posterior(grid, zones, None, PosteriorParams(), 100.0)
    answer = heads(90, 120, zone_logits=random.normal(0, 3, 60).tolist())
    density = posterior.map(answer).mass.ravel()[::37] / grid.cell_m**2
    expected = np.exp([posterior.log_likelihood(answer, at[None])[0] for at in grid.centres_m[::37]])
    assert density / density.sum() == pytest.approx(expected / expected.sum(), rel=1e-4)


@pytest.mark.parametrize("at_m", [(0.0, 0.0), (-99.0, 97.0), (60.0, -20.0)])
def test_radii_hold_their_share_wherever_the_place_lies(at_m: tuple[float, float]) -> None:
    probability = ProbabilityMap(GRID, 0.9 * blob((5.0, 0.0), 8.0) + 0.1 * blob((-70.0, 60.0), 20.0))
    distance = np.linalg.norm(GRID.centres_m - at_m, axis=1)
    for share, radius in zip((0.3, 0.68, 0.95), probability.radii_m(np.array(at_m), (0.3, 0.68, 0.95)), strict=True):
        mass = probability.mass.ravel()
        assert mass[distance < radius].sum() >= share
        assert mass[distance < radius - GRID.cell_m / 4].sum() < share


@pytest.mark.parametrize("logits", [[0.0], [1e4, -1e4, 0.0], [-700.0, -701.0]])
def test_softmax_is_a_distribution(logits: list[float]) -> None:
    odds = softmax(np.array(logits), 0.5)
    assert odds.sum() == pytest.approx(1.0)
    assert odds.argmax() == int(np.argmax(logits))
