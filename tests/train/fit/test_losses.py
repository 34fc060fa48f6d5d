from __future__ import annotations

import math

import pytest
import torch

from train.fit.losses import heading_nll, regression_nll, retrieval_nll, zone_nll


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_regression_nll_is_that_of_a_density_that_integrates_to_one(power: float) -> None:
    step = 0.02
    axis = torch.arange(-6, 6, step)
    east, north = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack([east.ravel(), north.ravel()], dim=1)
    log_spread = torch.full((1, 1), math.log(0.5))
    density = [
        math.exp(-regression_nll(torch.zeros(1, 2), log_spread, point[None], power).item())
        for point in points[:: 97 * 3]
    ]
    assert sum(density) * step**2 * 97 * 3 == pytest.approx(1, abs=0.05)


def test_a_wrong_label_pulls_a_laplace_density_no_harder_than_a_small_error() -> None:
    def pull(error: float, power: float) -> float:
        offset = torch.tensor([[error, 0.0]], requires_grad=True)
        regression_nll(offset, torch.zeros(1, 1), torch.zeros(1, 2), power).backward()
        assert offset.grad is not None
        return float(offset.grad.norm())

    assert pull(9.0, power=1) == pytest.approx(pull(0.1, power=1), rel=1e-3)
    assert pull(9.0, power=2) == pytest.approx(90 * pull(0.1, power=2), rel=1e-3)


def test_regression_nll_is_least_at_the_true_place_and_the_true_spread() -> None:
    target = torch.tensor([[0.3, -0.2]])
    at, off = regression_nll(target, torch.zeros(1, 1), target), regression_nll(target + 1, torch.zeros(1, 1), target)
    assert at < off
    errors = torch.full((64, 2), 0.1)
    spreads = [regression_nll(errors, torch.full((64, 1), s), torch.zeros(64, 2)) for s in (-4.0, -2.65, 0.0)]
    assert spreads[1] == min(spreads)  # the best scale of a length of 0.141 is half of it, exp(-2.65)


def test_zone_nll_forgives_a_neighbour_and_not_a_far_zone() -> None:
    squared = torch.tensor([[0.0, 10.0**2, 200.0**2]])

    def loss(zone: int) -> torch.Tensor:
        return zone_nll(torch.nn.functional.one_hot(torch.tensor([zone]), 3) * 20.0, squared, width_m=10.0)

    assert loss(0) < loss(1) < loss(2)
    assert loss(1) - loss(0) == pytest.approx(0.95 * 0.5, abs=0.01)  # exp(-1/2) of the best


def test_retrieval_nll_wants_one_alike_neighbour_and_not_all() -> None:
    squared = torch.tensor([[1.0, 1.0, 100.0**2]])
    one = retrieval_nll(torch.tensor([[0.9, -0.5, -0.5]]), squared, 5.0, 0.05)
    both = retrieval_nll(torch.tensor([[0.9, 0.9, -0.5]]), squared, 5.0, 0.05)
    far = retrieval_nll(torch.tensor([[-0.5, -0.5, 0.9]]), squared, 5.0, 0.05)
    assert one == pytest.approx(both.item(), abs=1e-3)
    assert far > one + 5


def test_a_photo_without_neighbours_or_memory_teaches_nothing() -> None:
    squared = torch.tensor([[1.0, 100.0**2]])
    assert retrieval_nll(torch.tensor([[-torch.inf, 0.9]]), squared, 5.0, 0.05) == 0
    assert retrieval_nll(torch.full((1, 2), -torch.inf), squared, 5.0, 0.05) == 0
    assert retrieval_nll(torch.zeros(0, 2), torch.zeros(0, 2), 5.0, 0.05) == 0


def test_the_hardest_negative_gets_the_largest_gradient() -> None:
    similarity = torch.tensor([[0.5, 0.8, 0.1]], requires_grad=True)
    retrieval_nll(similarity, torch.tensor([[0.0, 80.0**2, 80.0**2]]), 5.0, 0.1).backward()
    assert similarity.grad is not None
    toward, hard, easy = similarity.grad[0].tolist()
    assert toward < 0 < easy < hard


def test_heading_nll_is_that_of_a_density_that_integrates_to_one() -> None:
    around = torch.linspace(0, 2 * math.pi, 361)[:-1]
    for concentration in (0.5, 5.0, 200.0):
        heading = torch.tensor([[0.0, concentration]])
        density = [math.exp(-heading_nll(heading, angle[None]).item()) / (2 * math.pi) for angle in around]
        assert sum(density) * 2 * math.pi / 360 == pytest.approx(1, abs=0.01)
        assert max(density) == density[0]  # north


def test_photos_without_a_heading_teach_none() -> None:
    heading = torch.tensor([[0.0, 2.0], [5.0, 0.0]])
    unknown = torch.tensor([0.1, math.nan])
    assert heading_nll(heading, unknown) == heading_nll(heading[:1], unknown[:1])
    assert heading_nll(heading, torch.full((2,), math.nan)) == 0
