from __future__ import annotations

import numpy as np
import pytest

from train.evaluate.photo_needs import NEAR_M, PRIOR_PHOTOS, photo_needs, photos_near


def test_photos_near_counts_those_within_the_distance() -> None:
    training = np.array([[0.0, 0.0], [NEAR_M - 0.1, 0.0], [NEAR_M + 0.1, 0.0]])
    assert photos_near(np.array([[0.0, 0.0], [100.0, 0.0]]), training).tolist() == [2, 0]
    assert photos_near(np.array([[0.0, 0.0]]), np.zeros((0, 2))).tolist() == [0]


def test_needs_of_a_hand_computed_case() -> None:
    places = np.array(["thin", "thick", "thin", "good", "thin"])
    at_m = np.array([[0.0, 0.0], [50.0, 0.0], [2.0, 0.0], [90.0, 0.0], [30.0, 0.0]])
    error_m = np.array([20.0, 40.0, 10.0, 3.0, 30.0])
    near = np.array([1, 39, 1, 2, 1])
    gain = (10 + 1 + 5 + 1 + 15) / 5
    thin, good, thick = photo_needs(places, at_m, error_m, near)
    assert (thin.place, thin.n, thin.mean_m, thin.near, thin.at_m) == ("thin", 3, 20.0, 1.0, (2.0, 0.0))
    assert thin.score == pytest.approx((30 + PRIOR_PHOTOS * gain) / (3 + PRIOR_PHOTOS))
    # A large error among many training photos ranks no higher than a small one where they are few.
    assert (good.place, thick.place) == ("good", "thick")
    assert good.score == thick.score == pytest.approx((1 + PRIOR_PHOTOS * gain) / (1 + PRIOR_PHOTOS))
