from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

from core.network.backbones import pooled_widths
from core.network.campus_net import CampusNet
from core.network.net_config import NetConfig
from tests.small_backbones import CNN
from tests.train.fit.training_sets import SIZE
from train.fit import whitening
from train.fit.recipes.whitened import WhitenedConfig
from train.fit.whitened_net import whitened_across
from train.fit.whitening import cross_session_pairs, fit_whitening, unit_length

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


def test_pairs_are_the_same_found_in_parts_and_need_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 photos compared all with all at once would need 15 GB."""
    rng = np.random.default_rng(5)
    unit = unit_length(rng.normal(0, 1, (1500, 16)))
    local_m, sessions = rng.uniform(0, 400, (1500, 2)), rng.choice(["a", "b", "c"], 1500)
    whole = cross_session_pairs(unit, local_m, sessions)
    monkeypatch.setattr(whitening, "MOST_PAIRS_AT_ONCE", 1 << 16)
    tracemalloc.start()
    parts = cross_session_pairs(unit, local_m, sessions)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6  # of all pairs the distances alone take 18e6
    assert np.array_equal(whole, parts)
    apart_m = np.linalg.norm(local_m[:, None] - local_m[None], axis=2)
    apart_m[sessions[:, None] == sessions[None]] = np.inf
    reach_m = np.clip(np.median(np.sort(apart_m, axis=1)[:, 9]), 10, 45)
    best = np.argsort(-np.where(apart_m <= reach_m, unit @ unit.T, -np.inf), axis=1)[:, :3]
    near = np.take_along_axis(apart_m, best, axis=1) <= reach_m
    assert np.array_equal(parts[1], best[near])
    assert np.array_equal(parts[0], np.nonzero(near)[0])


def test_each_part_of_the_features_counts_alike_whatever_its_unit() -> None:
    features, local_m, sessions = campus(2)
    half = AXES // 2
    other_unit = np.concatenate([features[:, :half] * 1000, features[:, half:]], axis=1)
    first, second = (
        fit_whitening(given, local_m, sessions, (half, half)).embed(given) for given in (features, other_unit)
    )
    assert np.allclose(first @ first.T, second @ second.T, atol=1e-3)


def test_a_network_answers_by_the_whitening_rounded_as_it_is_stored() -> None:
    config = WhitenedConfig()
    plain = NetConfig(backbone=CNN, image_size=SIZE, layout="whitened", pooling=config.pooling, embedding=1)
    net, widths = CampusNet(plain).eval(), pooled_widths(plain)
    features = np.random.default_rng(3).normal(0, 1, (PLACES * SESSIONS, sum(widths))).astype(np.float32)
    _, local_m, sessions = campus(3)
    whitened = whitened_across(net, features, local_m, sessions)
    with torch.inference_mode():
        embedding = whitened.heads(torch.from_numpy(features)).embedding.numpy()
    whitening = fit_whitening(features, local_m, sessions, widths)
    assert np.allclose(embedding, whitening.embed(features), atol=2e-3)
    assert not np.allclose(embedding, fit_whitening(features, local_m, sessions, (sum(widths),)).embed(features))
    assert torch.equal(whitened.whitening_axes, whitened.whitening_axes.half().float())
