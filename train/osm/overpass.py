"""Overpass: OpenStreetMap's server for small areas. Its question, its answer, and the way from its JSON to PBF."""

from __future__ import annotations

import http.client
import shlex
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import MapError, reason_of
from core.io.files import written_atomically
from train.osm.box import Box
from train.osm.kinds import KEYS

SERVER = "https://overpass-api.de/api/interpreter"
_SECONDS = 90  # for the server's work and for each wait on the network
_MAX_BYTES = 256 << 20


def query(box: Box) -> str:
    """All that a campus map is drawn from within a box, with the nodes of its ways, as Overpass QL."""
    within = f"({box.south:.6f},{box.west:.6f},{box.north:.6f},{box.east:.6f})"
    wanted = "".join(f'nwr["{key}"]{within};' for key in KEYS)
    return f"[out:json][timeout:{_SECONDS}];({wanted});out body;>;out skel qt;"


def command_elsewhere(box: Box, server: str = SERVER, out: str = "campus.osm.json") -> str:
    """The one command that fetches the same on a machine that has internet."""
    return f"curl -fsS -o {out} --data-urlencode {shlex.quote('data=' + query(box))} {shlex.quote(server)}"


def fetch(box: Box, out: Path, server: str = SERVER) -> None:
    """Ask Overpass for a box and write its JSON to `out`, whole or not at all.

    Raises MapError where the server cannot be reached or refuses; `command_elsewhere` is the remedy.
    """
    asked = urllib.request.Request(
        server,
        urllib.parse.urlencode({"data": query(box)}).encode(),
        {"User-Agent": "campus-gps (python -m train map)", "Accept": "application/json"},
    )
    try:
        with urllib.request.urlopen(asked, timeout=_SECONDS) as answer:
            data = answer.read(_MAX_BYTES + 1)
            if len(data) <= _MAX_BYTES and answer.length:  # read() itself tells only of a chunk that broke off
                raise http.client.IncompleteRead(data, answer.length)
    except (OSError, ValueError, http.client.HTTPException) as error:  # URLError and HTTPError are OSErrors
        said = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else reason_of(error)
        raise MapError(
            f"no answer ({said})",
            path=server,
            remedy="run the command above where there is internet, and give its file with --osm",
        ) from error
    if len(data) > _MAX_BYTES:
        raise MapError(
            f"more than {_MAX_BYTES >> 20} MB: the campus is too large to fetch", path=server, remedy="give --osm FILE"
        )
    with written_atomically(out) as temporary:
        temporary.write_bytes(data)


def write_pbf(elements: Sequence[dict[str, Any]], out: Path) -> None:
    """The `elements` of Overpass JSON as a PBF file, whether their nodes are listed or stand in `geometry`.

    Raises KeyError, TypeError, ValueError or AttributeError where they are no elements.
    """
    import osmium
    from osmium.osm import mutable

    found: dict[str, dict[int, dict[str, Any]]] = {"node": {}, "way": {}, "relation": {}}
    for element in elements:
        if element.get("type") in found:
            known = found[element["type"]].setdefault(int(element["id"]), {})
            known.update(element)  # `out skel` repeats without tags what `out body` told with them
    nodes, ways, relations = found["node"], found["way"], found["relation"]
    _add_member_ways(relations, ways)
    _add_way_nodes(ways, nodes)
    with osmium.SimpleWriter(str(out), overwrite=True) as writer:
        for number, node in sorted(nodes.items()):
            at = (float(node["lon"]), float(node["lat"]))
            writer.add_node(mutable.Node(id=number, version=1, location=at, tags=_tags(node)))
        for number, way in sorted(ways.items()):
            writer.add_way(mutable.Way(id=number, version=1, nodes=way.get("nodes", []), tags=_tags(way)))
        for number, relation in sorted(relations.items()):
            members = [(m["type"][0], int(m["ref"]), str(m.get("role", ""))) for m in relation.get("members", [])]
            writer.add_relation(mutable.Relation(id=number, version=1, members=members, tags=_tags(relation)))


def _tags(element: dict[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in element.get("tags", {}).items()}


def _add_member_ways(relations: dict[int, dict[str, Any]], ways: dict[int, dict[str, Any]]) -> None:
    """`out geom` gives the shape of a relation's ways, but not the ways."""
    for relation in relations.values():
        for member in relation.get("members", []):
            if member["type"] == "way" and "geometry" in member:
                ways.setdefault(int(member["ref"]), {"geometry": member["geometry"]})


def _add_way_nodes(ways: dict[int, dict[str, Any]], nodes: dict[int, dict[str, Any]]) -> None:
    """`out geom` gives the places of a way's nodes, but not the nodes; a place gets one node, so that rings close."""
    fresh = max(nodes, default=0)
    at: dict[tuple[float, float], int] = {}
    for way in ways.values():
        if "geometry" not in way:
            continue
        # Numbers of our own, where a way was given only as a member: its nodes have none.
        places = [(float(p["lat"]), float(p["lon"])) for p in way["geometry"] if p is not None]
        for place in places:
            if place not in at:
                fresh += 1
                at[place] = fresh
                nodes[fresh] = {"lat": place[0], "lon": place[1]}
        way["nodes"] = [at[place] for place in places]
