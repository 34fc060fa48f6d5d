"""What the tests of hostile bundles share: changed manifests and files whose hashes are right, and refusals."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.campus.file_names import CAMPUS_JSON
from core.campus.manifest import manifest_digest
from core.errors import BundleError, CampusError


def manifest_of(bundle: Path) -> dict[str, Any]:
    return dict(json.loads((bundle / CAMPUS_JSON).read_text()))


def sealed(manifest: dict[str, Any]) -> bytes:
    """The manifest with the digest that it should have: whoever makes a hostile bundle can do this too."""
    manifest["digest"] = manifest_digest(manifest)
    return json.dumps(manifest).encode()


def with_file(bundle: Path, name: str, data: bytes) -> Path:
    """The bundle with a file replaced or added, its hash and digest made right."""
    manifest = manifest_of(bundle)
    manifest["files"][name] = hashlib.sha256(data).hexdigest()
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_bytes(data)
    (bundle / CAMPUS_JSON).write_bytes(sealed(manifest))
    return bundle


def refusal(use: Callable[[], object], kind: type[CampusError] = BundleError) -> str:
    """The one line that `use` is refused with."""
    with pytest.raises(kind) as caught:
        use()
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 700
    return message


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def unit(rows: int = 4, columns: int = 6, dtype: Any = np.float16) -> Any:
    return np.eye(rows, columns).astype(dtype)
