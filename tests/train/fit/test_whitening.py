from __future__ import annotations

import numpy as np

from train.fit.whitening import cross_session_pairs, fit_whitening

PLACES, SESSIONS, AXES = 40, 6, 24


def campus(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of which the first half says the place and the second, louder, the light of the moment."""
    rng = np.random.default_rng(seed)
    place, light = rng.normal(0, 1, (PLACES, AXES // 2)), rng.normal(0, 1, (SESSIONS, PLACES, AXES // 2))
    drift = rng.normal(0, 1, (SESSIONS, 1, AXES // 2))
    features = np.concatenate([np.broadcast_to(place, (SESSIONS, *place.shape)), 2 * light + drift], axis=2)
    local_m = np.stack([20.0 * np.arange(PLACES), np.zeros(PLACES)], axis=1)
    sessions = np.repeat([f"s{index}" for index in range(SESSIONS)], PLACES)
    return features.reshape(-1, AXES).astype(np.float32), np.tile(local_m, (SESSIONS, 1)), sessions


def right(embedding: np.ndarray, sessions: np.ndarray) -> float:
    """The share of the last session's photos whose nearest photo of the others shows the same place."""
    asked = sessions == sessions[-1]
    nearest = (embedding[asked] @ embedding[~asked].T).argmax(axis=1) % PLACES
    return float((nearest == np.arange(PLACES)).mean())


def test_whitening_finds_the_places_that_a_new_session_shows() -> None:
    features, local_m, sessions = campus(0)
    known = sessions != sessions[-1]
    whitened, centred = (
        fit_whitening(features[known], local_m[known], of, (AXES,)).embed(features)
        for of in (sessions[known], np.full(int(known.sum()), "one"))
    )
    assert right(whitened, sessions) > 0.6
    assert right(centred, sessions) < 0.4
    assert np.allclose(np.linalg.norm(whitened, axis=1), 1, atol=1e-5)


def test_pairs_show_one_place_in_two_sessions() -> None:
    features, local_m, sessions = campus(1)
    one, other = cross_session_pairs(features.astype(np.float64), local_m, sessions)
    assert len(one) > 0
    assert (sessions[one] != sessions[other]).all()
    assert (np.linalg.norm(local_m[one] - local_m[other], axis=1) <= 45).all()
    assert not len(cross_session_pairs(features.astype(np.float64), local_m, np.full(len(sessions), "one"))[0])


def test_each_part_of_the_features_counts_alike_whatever_its_unit() -> None:
    features, local_m, sessions = campus(2)
    half = AXES // 2
    other_unit = np.concatenate([features[:, :half] * 1000, features[:, half:]], axis=1)
    first, second = (
        fit_whitening(given, local_m, sessions, (half, half)).embed(given) for given in (features, other_unit)
    )
    assert np.allclose(first @ first.T, second @ second.T, atol=1e-3)
