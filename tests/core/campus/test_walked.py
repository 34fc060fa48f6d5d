from __future__ import annotations

import numpy as np
import pytest

from core.campus.basemap import drawable, names, style_url
from core.campus.frame import LocalFrame
from core.campus.walked import thinned, walked_map, ways_between
from core.campus.zones import Zone

FRAME = LocalFrame.about(39.95, -75.19)
SQUARE = ((-50.0, -50.0), (50.0, -50.0), (50.0, 50.0), (-50.0, 50.0))


def kinds(found: dict[str, object]) -> list[str]:
    return [feature["properties"]["kind"] for feature in drawable(found)]


def test_a_campus_of_no_photo_is_its_zones() -> None:
    assert kinds(walked_map([Zone("Zone 1", (0, 0), 5, SQUARE)], np.empty((0, 2)), FRAME)) == ["grounds"]
    assert walked_map([], np.empty((0, 2)), FRAME)["features"] == []


def test_one_photo_is_a_dot_with_a_scale() -> None:
    assert kinds(walked_map([], [[3.0, 4.0]], FRAME)) == ["photo", "scale", "scale", "scale", "scale"]


def test_a_walk_is_joined_up_and_a_far_one_stays_apart() -> None:
    walk = np.stack([np.arange(0, 100, 10.0), np.zeros(10)], axis=1)
    other = walk + (0, 200)
    edges = ways_between(np.concatenate([walk, other])[np.random.default_rng(0).permutation(20)])
    assert len(edges) == 18
    found = walked_map([], np.concatenate([walk, other]), FRAME)
    (ways,) = [feature for feature in found["features"] if feature["properties"]["kind"] == "walked"]
    for line in ways["geometry"]["coordinates"]:
        ends = FRAME.to_local(*np.array(line)[:, ::-1].T)
        assert np.linalg.norm(ends[0] - ends[1]) == pytest.approx(10, abs=0.3)


def test_the_tree_is_the_shortest_there_is() -> None:
    from scipy.sparse.csgraph import minimum_spanning_tree
    from scipy.spatial.distance import cdist

    dots = np.random.default_rng(1).uniform(0, 60, (80, 2))  # dense, so that no edge is too long
    edges = ways_between(dots)
    assert len(edges) == 79
    length = sum(np.linalg.norm(dots[one] - dots[other]) for one, other in edges)
    assert length == pytest.approx(minimum_spanning_tree(cdist(dots, dots)).sum())


@pytest.mark.parametrize("photos", [5_000, pytest.param(200_000, marks=pytest.mark.slow)])
def test_however_many_photos_the_map_stays_small(photos: int) -> None:
    local_m = np.random.default_rng(2).uniform(-300, 300, (photos, 2))
    assert 100 < len(thinned(local_m)) <= 800
    assert len(style_url(walked_map([], local_m, FRAME), dark=False)) < 200_000


def test_photos_of_one_standpoint_share_a_dot_at_their_middle() -> None:
    assert thinned(np.array([[1.0, 1.0], [2.0, 3.0], [41.0, 1.0]])).tolist() == [[1.5, 2.0], [41.0, 1.0]]


def test_few_zones_show_their_numbers_and_many_only_names_typed_by_hand() -> None:
    def labels(zones: list[Zone]) -> set[str]:
        return {name.label.text for name in names(walked_map(zones, [[0, 0], [90, 90]], FRAME), FRAME)}

    some = [Zone(f"Zone {index}", (0, 0), 5, SQUARE) for index in range(1, 4)]
    assert labels(some) == {"Zone 1", "Zone 2", "Zone 3", "20 m", "N"}
    many = [Zone(f"Zone {index}", (0, 0), 5, SQUARE) for index in range(1, 40)] + [Zone("Bus stop", (0, 0), 5, SQUARE)]
    assert labels(many) == {"Bus stop", "20 m", "N"}
