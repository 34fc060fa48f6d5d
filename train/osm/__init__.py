"""An OpenStreetMap extract becomes a campus's `map.geojson`: read, fetch, sort into kinds, clip and simplify."""
