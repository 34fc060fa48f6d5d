"""A Bayes filter over the campus: what must hold whatever the walk is."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from core.campus.fusion_parameters import FusionParams, MotionParams
from core.campus.grid import Grid
from core.errors import CampusError, TimeReversed
from core.locate.bayes_filter import Move, WalkFilter, smooth
from core.locate.fusion import log_evidence, thumbnail
from core.locate.motion import Motion
from core.locate.prior import Prior
from core.locate.probability_map import ProbabilityMap
from tests.core.locate.test_fusion import GRID, PRIOR, bump, picture, radius68_m

FUSION, MOTION = FusionParams(), MotionParams()


def walk(grid: Grid = GRID) -> WalkFilter:
    return WalkFilter(grid, PRIOR, FUSION, MOTION)


def at_m(mass: np.ndarray) -> np.ndarray:
    return ProbabilityMap(GRID, mass).median_m()


@pytest.mark.slow
def test_the_mass_is_one_through_ten_thousand_steps_and_memory_does_not_grow() -> None:
    grid = Grid(-15.0, -10.0, 1.0, 20, 30)
    prior = Prior.even(grid)
    rng = np.random.default_rng(0)
    filtered, time_s = WalkFilter(grid, prior, FUSION, MOTION), 0.0
    maps = rng.dirichlet(np.full(600, 0.05), 50).reshape(50, 20, 30).astype(np.float32)
    thumbs = [thumbnail(picture(seed)) for seed in range(50)]
    worst = 0.0
    tracemalloc.start()
    for number in range(10_000):
        time_s += float(rng.choice([0.0, 0.1, 3.0, 60.0, 86_400.0]))
        step = filtered.step(maps[number % 50], time_s, thumbs[number % 50], float(rng.random() < 0.9))
        worst = max(worst, abs(step.mass.sum(dtype=np.float64) - 1.0))
        assert step.mass.min() > 0
        if number == 2_000:
            early = tracemalloc.get_traced_memory()[0]
    late = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert worst < 1e-5
    assert late < early + 200_000


@pytest.mark.parametrize("time_s", [99.9, -1e9, float("nan"), float("inf")])
def test_time_running_backwards_is_an_error_with_a_name(time_s: float) -> None:
    filtered = walk()
    before = filtered.step(bump(0, 0), 100.0).mass
    with pytest.raises(TimeReversed, match="photo") as caught:
        filtered.step(bump(30, 0), time_s)
    assert isinstance(caught.value, CampusError)
    assert np.array_equal(filtered.mass, before)
    filtered.step(bump(30, 0), 101.0)  # the walk goes on


def test_certainty_zero_only_lets_time_pass() -> None:
    one, other = walk(), walk()
    for filtered in (one, other):
        filtered.step(bump(0, 0), 0.0)
    one.step(bump(40, 10), 5.0, certainty=0.0)
    np.testing.assert_allclose(one.mass, other.motion.forward(other.mass, 5.0), rtol=1e-4)


def test_a_camera_that_stands_still_counts_its_picture_once() -> None:
    filtered, seen = walk(), thumbnail(picture(1))
    first = filtered.step(bump(0, 0), 0.0, seen)
    for number in range(1, 200):
        step = filtered.step(bump(0, 0), 0.1 * number, seen)
        assert step.move.weight == 0
    assert np.array_equal(step.mass, first.mass)


def test_a_camera_that_stands_still_has_its_place_again_after_refused_photos() -> None:
    filtered, view, hand = walk(), thumbnail(picture(1)), thumbnail(picture(2))
    mass = bump(0, 0, 3)
    sharp_m = radius68_m(filtered.step(mass, 0.0, view).mass)
    for second in range(1, 301):
        lost = filtered.step(mass, float(second), hand, certainty=0.0)
    assert radius68_m(lost.mass) > 2 * sharp_m
    again = [filtered.step(mass, 301.0 + second, view) for second in range(20)]
    assert radius68_m(again[0].mass) == pytest.approx(sharp_m, rel=0.2)
    assert again[-1].mass is again[0].mass  # seen once more, it is no news


def test_a_picture_that_a_moment_s_hand_interrupts_counts_little_anew() -> None:
    filtered, view, hand = walk(), thumbnail(picture(1)), thumbnail(picture(2))
    for second in range(600):  # it stands for long
        filtered.step(bump(0, 0, 8), float(second), view)
    filtered.step(bump(0, 0, 8), 600.0, hand, certainty=0.0)
    again = filtered.step(bump(0, 0, 8), 601.0, view)
    assert again.move.weight < 0.1


def test_new_views_of_one_place_shrink_the_circle_and_time_widens_it() -> None:
    filtered = walk()
    radii = [
        radius68_m(filtered.step(bump(0, 0), 2.0 * number, thumbnail(picture(number))).mass) for number in range(4)
    ]
    assert radii == sorted(radii, reverse=True)
    waited = radius68_m(filtered.step(bump(0, 0), 60.0, certainty=0.0).mass)
    assert waited > 1.5 * radii[-1]


def test_a_walk_is_followed() -> None:
    filtered = walk()
    for number in range(20):
        step = filtered.step(bump(-50 + 5.0 * number, 0, width_m=12), 4.0 * number)
    assert np.linalg.norm(at_m(step.mass) - (45, 0)) < 20  # a filter lags behind
    assert filtered.velocity is not None
    assert filtered.velocity.course_deg is not None
    assert abs(filtered.velocity.course_deg - 90) < 5
    assert abs(filtered.velocity.speed_m_s - 1.25) < 0.25


def test_a_wrong_photo_does_not_move_the_walker_and_says_so() -> None:
    filtered = walk()
    for number in range(4):
        filtered.step(bump(-40, -20), 2.0 * number)
    step = filtered.step(bump(40, 20), 10.0)
    assert np.linalg.norm(at_m(step.mass) - (-40, -20)) < 10
    assert step.agreement < 0.2


def test_lost_and_found_again_without_a_restart() -> None:
    filtered = walk()
    for number in range(10):
        filtered.step(bump(-50, -30), float(number))
    for number in range(8):  # by bus: no walker gets there in that time
        step = filtered.step(bump(50, 30, width_m=5), 12.0 + 2 * number)
    assert np.linalg.norm(at_m(step.mass) - (50, 30)) < 8


def test_a_gap_of_a_year_is_survived() -> None:
    filtered = walk()
    filtered.step(bump(-50, 0), 0.0)
    step = filtered.step(bump(20, 0), 3.2e7)
    assert np.linalg.norm(at_m(step.mass) - (20, 0)) < 3


@pytest.mark.parametrize("drift_m_s", [(0.0, 0.0), (1.3, 0.0), (-0.7, 1.1), (0.0, -30.0)])
@pytest.mark.parametrize("dt_s", [0.01, 1.0, 8.0, 90.0, 5_000.0])
def test_backward_is_the_transpose_of_forward(dt_s: float, drift_m_s: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    motion = Motion(GRID, PRIOR.standing, MOTION)
    mass, message = (rng.random((40, 60)).astype(np.float32) for _ in range(2))
    mass /= mass.sum()
    forward = float(np.vdot(motion.forward(mass, dt_s, drift_m_s).astype(np.float64), message))
    backward = float(np.vdot(mass.astype(np.float64), motion.backward(message, dt_s, drift_m_s)))
    assert forward == pytest.approx(backward, rel=1e-4)
    if abs(drift_m_s[1]) < 10:  # nobody leaves the grid
        assert motion.forward(mass, dt_s, drift_m_s).sum(dtype=np.float64) == pytest.approx(1.0, abs=2e-5)


def test_a_course_moves_the_map_along_it() -> None:
    motion = Motion(GRID, PRIOR.standing, MotionParams(standing_s=1e-3))
    mass = bump(0, 0, width_m=4)
    moved = [at_m(motion.forward(mass, 6.0, drift)) for drift in ((0.0, 0.0), (1.5, 0.0), (0.0, -1.5))]
    assert abs(moved[0]).max() < 0.5
    assert moved[1][0] > 2 > abs(moved[1][1])
    assert moved[2][1] < -2 < -abs(moved[2][0])


def test_a_large_grid_is_blurred_in_bands_as_a_small_one_is() -> None:
    grid = Grid(0.0, 0.0, 1.0, 300, 290)
    prior = np.full((300, 290), 1 / 87_000, np.float32)
    mass = np.zeros((300, 290), np.float32)
    mass[150, 140] = mass[0, 289] = 0.5
    moved = Motion(grid, prior, MotionParams(standing_s=1e-3, leak_s=1e12)).forward(mass, 10.0)
    width_m = MOTION.width_m(10.0)
    near = np.s_[130:171, 120:161]
    squared = (np.arange(-20, 21) ** 2)[:, None] + np.arange(-20, 21) ** 2
    wanted = 0.5 * np.exp(-squared / (2 * width_m**2)) / (2 * np.pi * width_m**2)
    np.testing.assert_allclose(moved[near], wanted, atol=2e-3 * wanted.max())
    assert moved.sum(dtype=np.float64) == pytest.approx(1.0, abs=1e-5)


def _smoothed(maps: list[np.ndarray], moves: list[Move], later: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    motion = Motion(GRID, PRIOR.standing, MOTION)
    return {
        index: (mass, message)
        for index, mass, message in smooth(
            motion, PRIOR.standing, later, moves, lambda i: log_evidence(maps[i], PRIOR.reference, FUSION.floor)
        )
    }


def test_smoothing_is_forward_and_backward() -> None:
    maps = [bump(-20, 0), (bump(-18, 0) + bump(30, 10)) / 2, (bump(30, 10) + bump(0, 30)) / 2, bump(32, 12)]
    filtered = walk()
    steps = [filtered.step(mass, time_s) for mass, time_s in zip(maps, (0.0, 20.0, 50.0, 53.0), strict=True)]
    found = _smoothed(maps, [step.move for step in steps], np.ones_like(PRIOR.standing))
    assert radius68_m(steps[2].mass) > radius68_m(found[2][0])  # the fourth photo says which place the third shows
    np.testing.assert_allclose(found[3][0], steps[3].mass, rtol=1e-3, atol=1e-7)  # nothing comes after the last
    for mass, _ in found.values():
        assert mass.sum(dtype=np.float64) == pytest.approx(1.0, abs=1e-5)


def test_a_long_walk_can_be_smoothed_part_by_part() -> None:
    maps = [bump(-40 + 10.0 * i, 5.0 * (i % 3)) for i in range(8)]
    filtered = walk()
    steps = [filtered.step(mass, 8.0 * i) for i, mass in enumerate(maps)]
    moves, ones = [step.move for step in steps], np.ones_like(PRIOR.standing)
    whole = _smoothed(maps, moves, ones)

    def said(i: int) -> np.ndarray:
        return log_evidence(maps[i], PRIOR.reference, FUSION.floor)

    motion = Motion(GRID, PRIOR.standing, MOTION)
    late = list(smooth(motion, steps[3].mass, ones, moves[4:], lambda i: said(i + 4)))
    early = list(smooth(motion, PRIOR.standing, late[-1][2], moves[:4], said))
    for shift, part in ((0, early), (4, late)):
        for index, mass, _ in part:
            np.testing.assert_allclose(mass, whole[index + shift][0], rtol=2e-2, atol=1e-6)
