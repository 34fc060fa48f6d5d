"""What the byte fuzzers start from: small valid inputs of each target, and the small absurd ones of the corpus."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.campus.thumbnails import Thumbnails
from tests.bundles import make_bundle
from tests.hostile.corpus import BUILD
from tests.hostile.photos.absurd_exif import absurd_exif
from tests.hostile.photos.whole import KINDS, exif, whole

LABELS = (
    b"image_name,lat,lon\na.jpg,39.9,-75.1\n",
    '\ufeffFilename;Latitude;Longitude\r\n"a;b.jpg";39,9;-75,1\r\n\r\n'.encode(),
    "photo\tLat\tLng\tis_night\nא.jpg\t1e1\t-0\t1\n".encode("utf-16"),
    b"name|lat|lon|lat deg\nx|nan|inf|1\n",
)
MANIFEST = {
    "schema_version": 1, "campus": "C", "bundle_digest": "0" * 64, "backbone": "b", "scale_m": 100.0, "opset": 18,
    "exporters": {"torch": "2"}, "inputs": [{"name": "image", "dtype": "uint8", "shape": ["batch", 64, 64, 3]}],
    "outputs": [{"name": "offset", "dtype": "float32", "shape": ["batch", 2]}],
    "preprocessing": {"size": 64, "mean": [1, 2, 3], "std": [1, 2, 3]}, "files": {"model.fp16.onnx": "0" * 64},
}  # fmt: skip


@lru_cache
def seeds(target: str) -> tuple[bytes, ...]:
    """Valid and nearly valid inputs of a target, smallest first."""
    if target == "photo":
        found = [whole(kind) for kind in KINDS] + [
            BUILD[f"exif-{name}-in-jpeg"].data() for name in list(absurd_exif())[:8]
        ]
    elif target == "exif":
        found = [exif(6), whole("jpeg"), whole("tiff"), *absurd_exif().values()]
    elif target == "labels":
        found = list(LABELS)
    elif target == "manifest":
        found = [json.dumps(MANIFEST).encode()]
    elif target == "arrays":
        found = [_arrays(compressed=True), _arrays(compressed=False), Thumbnails.of([b"a", b"bc", b"def"]).file()]
    else:
        found = [_bundle(zipfile.ZIP_STORED), _bundle(zipfile.ZIP_DEFLATED)]
    return tuple(sorted((data for data in found if len(data) < 300_000), key=len))


def _arrays(*, compressed: bool) -> bytes:
    file = io.BytesIO()
    pictures = np.zeros((1, 8, 8, 3), np.uint8)
    (np.savez_compressed if compressed else np.savez)(
        file, images=pictures, photo=pictures[0], photo_image=pictures[0], offset=np.zeros((1, 2), np.float32)
    )
    return file.getvalue()


def _bundle(compression: int) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        folder = make_bundle(Path(name) / "field", samples=False)
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", compression) as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, path.name)
        return file.getvalue()


def resealed(data: bytes) -> bytes:
    """A .campus file with the hashes and digest that its files should have, so that a fuzzer gets past them.

    As it is where it is no zip with a manifest.
    """
    from core.campus.file_names import CAMPUS_JSON
    from core.campus.manifest import manifest_digest

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        manifest = json.loads(files.pop(CAMPUS_JSON))
        manifest["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        manifest["digest"] = manifest_digest(manifest)
        text = json.dumps(manifest).encode()
    except Exception:  # a fuzzer's input fails in any way; then it is tried as it is
        return data
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in {CAMPUS_JSON: text, **files}.items():
            archive.writestr(name, content)
    return out.getvalue()
