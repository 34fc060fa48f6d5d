"""A small campus as OpenStreetMap has it, drawn by hand, in every form that an extract comes in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from core.campus.frame import LocalFrame

FRAME = LocalFrame.about(47.0, 8.4)  # that of the test bundle
Tags = dict[str, str]
Metres = tuple[float, float]


@dataclass
class Field:
    """Nodes, ways and relations, numbered as they are added."""

    nodes: dict[int, tuple[Metres, Tags]] = field(default_factory=dict)
    ways: dict[int, tuple[list[int], Tags]] = field(default_factory=dict)
    relations: dict[int, tuple[list[tuple[str, int, str]], Tags]] = field(default_factory=dict)

    def node(self, at: Metres, **tags: str) -> int:
        self.nodes[len(self.nodes) + 1] = (at, _tags(tags))
        return len(self.nodes)

    def line(self, *corners: Metres, **tags: str) -> int:
        self.ways[100 + len(self.ways)] = ([self.node(at) for at in corners], _tags(tags))
        return 99 + len(self.ways)

    def ring(self, *corners: Metres, **tags: str) -> int:
        way = self.line(*corners, **tags)
        self.ways[way][0].append(self.ways[way][0][0])
        return way

    def block(self, west: float, south: float, east: float, north: float, **tags: str) -> int:
        return self.ring((west, south), (east, south), (east, north), (west, north), **tags)

    def relation(self, *members: tuple[str, int, str], **tags: str) -> int:
        self.relations[1000 + len(self.relations)] = (list(members), _tags({"type": "multipolygon", **tags}))
        return 999 + len(self.relations)


def _tags(tags: Tags) -> Tags:
    return {key.replace("__", ":"): value for key, value in tags.items()}


def small_campus() -> Field:
    """Two languages, a building with a yard, steps, trees, water, what no map shows, and what is broken."""
    campus = Field()
    campus.block(-75, 30, -30, 62, building="university", name="ספרייה", name__en="Library", building__levels="5")
    campus.block(20, 28, 70, 50, building="yes", ref="32", height="14.5 m")
    outer = campus.block(-60, -70, 0, -20)
    yard = campus.block(-45, -55, -15, -35)
    campus.relation(
        ("way", outer, "outer"), ("way", yard, "inner"), building="yes", name="הנדסה", name__en="Engineering"
    )
    campus.block(-90, -90, 90, 90, landuse="grass")
    campus.block(-25, -12, 15, 20, highway="pedestrian", area="yes", name="Founders' Square")
    campus.block(40, -40, 60, -20, natural="water", name="Pond")
    campus.block(62, -80, 88, -50, leisure="pitch")
    campus.line((-95, 24), (95, 24), highway="footway")
    campus.line((-95, -95), (95, -95), highway="residential", name="רחוב")
    campus.line((5, 24), (5, 40), highway="steps")
    campus.line((30, -90), (30, 20), waterway="stream")
    campus.line((-80, 26), (-10, 26), natural="tree_row")
    campus.node((10, 60), natural="tree")
    campus.node((-85, 0), man_made="tower", name="Old Tower")
    campus.node((80, 0), highway="bus_stop", name="תחנה", name__en="Bus stop")
    campus.node((81, 1), highway="bus_stop")  # has no name
    campus.line((-5, 90), (-5, 95), highway="corridor", indoor="yes")
    campus.block(3000, 3000, 3050, 3050, building="yes", name="Elsewhere")
    campus.block(150, 60, 900, 90, building="yes", name="Long House")  # reaches beyond the map
    # A hole of one node in a way, as where an extract was cut; and an outline that does not close.
    cut = campus.line((-90, 80), (-60, 80), (-20, 80), highway="path")
    campus.nodes.pop(campus.ways[cut][0][1])
    open_ring = campus.line((70, 70), (80, 70), (80, 80))
    campus.relation(("way", open_ring, "outer"), building="yes", name="Broken")
    return campus


def _places(campus: Field) -> dict[int, tuple[float, float]]:
    numbers = list(campus.nodes)
    degrees = FRAME.to_latlon([campus.nodes[number][0] for number in numbers]).round(7).tolist()
    return {number: (lat, lon) for number, (lat, lon) in zip(numbers, degrees, strict=True)}


def write_xml(campus: Field, out: Path) -> Path:
    def tags(known: Tags) -> str:
        return "".join(f"<tag k={quoteattr(key)} v={quoteattr(value)}/>" for key, value in known.items())

    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<osm version="0.6" generator="by hand">']
    for number, (lat, lon) in _places(campus).items():
        own = tags(campus.nodes[number][1])
        lines.append(f'<node id="{number}" version="1" lat="{lat}" lon="{lon}">{own}</node>')
    for number, (nodes, known) in campus.ways.items():
        refs = "".join(f'<nd ref="{node}"/>' for node in nodes)
        lines.append(f'<way id="{number}" version="1">{refs}{tags(known)}</way>')
    for number, (members, known) in campus.relations.items():
        own = "".join(f'<member type="{kind}" ref="{ref}" role="{role}"/>' for kind, ref, role in members)
        lines.append(f'<relation id="{number}" version="1">{own}{tags(known)}</relation>')
    out.write_text("\n".join([*lines, "</osm>"]), encoding="utf-8")
    return out


def write_pbf(campus: Field, out: Path) -> Path:
    import osmium
    from osmium.osm import mutable

    with osmium.SimpleWriter(osmium.io.File(str(out), "pbf"), overwrite=True) as writer:
        for number, (lat, lon) in sorted(_places(campus).items()):
            writer.add_node(mutable.Node(id=number, version=1, location=(lon, lat), tags=campus.nodes[number][1]))
        for number, (nodes, known) in campus.ways.items():
            writer.add_way(mutable.Way(id=number, version=1, nodes=nodes, tags=known))
        for number, (members, known) in campus.relations.items():
            short = [(kind[0], ref, role) for kind, ref, role in members]
            writer.add_relation(mutable.Relation(id=number, version=1, members=short, tags=known))
    return out


def overpass(campus: Field, *, geometry: bool) -> dict[str, Any]:
    """What Overpass answers to `out body; >; out skel` or, with `geometry`, to `out geom` of tagged things."""
    places = _places(campus)

    def shape(way: int) -> list[dict[str, float] | None]:
        return [
            {"lat": places[node][0], "lon": places[node][1]} if node in places else None for node in campus.ways[way][0]
        ]

    elements: list[dict[str, Any]] = []
    for number, (lat, lon) in places.items():
        known = campus.nodes[number][1]
        if known or not geometry:
            elements.append({"type": "node", "id": number, "lat": lat, "lon": lon} | ({"tags": known} if known else {}))
    for number, (nodes, known) in campus.ways.items():
        if known or not geometry:
            way = {"type": "way", "id": number, "nodes": nodes, "tags": known}
            elements.append(way | ({"geometry": shape(number)} if geometry else {}))
    for number, (members, known) in campus.relations.items():
        own = [
            {"type": kind, "ref": ref, "role": role} | ({"geometry": shape(ref)} if geometry else {})
            for kind, ref, role in members
        ]
        elements.append({"type": "relation", "id": number, "members": own, "tags": known})
    return {"version": 0.6, "generator": "Overpass API", "elements": elements}


def write_overpass(campus: Field, out: Path, *, geometry: bool = False) -> Path:
    out.write_text(json.dumps(overpass(campus, geometry=geometry), ensure_ascii=False), encoding="utf-8")
    return out


def write_geojson(campus: Field, out: Path) -> Path:
    """As overpass-turbo exports it; multipolygons are left to the other forms."""
    places = _places(campus)
    features = []
    for nodes, known in campus.ways.values():
        corners = [[places[node][1], places[node][0]] for node in nodes if node in places]
        closed = nodes[0] == nodes[-1]
        shape = ("Polygon", [corners]) if closed else ("LineString", corners)
        geometry = dict(zip(("type", "coordinates"), shape, strict=True))
        features.append({"type": "Feature", "properties": {"@id": "way/1", **known}, "geometry": geometry})
    for number, (_, known) in campus.nodes.items():
        point = {"type": "Point", "coordinates": [places[number][1], places[number][0]]}
        features.append({"type": "Feature", "properties": known, "geometry": point})
    features.append({"type": "Feature", "properties": {"building": "yes"}, "geometry": {"type": "Polygon"}})  # broken
    out.write_text(json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False), "utf-8")
    return out
