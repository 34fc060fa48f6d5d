"""Ask the HTTP interface what its description allows and forbids (schemathesis); none may end in a server error:

python -m tests.hostile.fuzz_http --requests 5000
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings

from app.collect.inbox import Inbox
from app.gate import Gate
from app.serve.api.application import Service, api_app
from app.serve.api.walks import Walks
from core.campus.bundle import Bundle
from core.locate.fix import Fix
from core.locate.localizer import Localizer
from tests.bundles import make_bundle


class InThisProcess:
    """The real Localizer, without processes around it."""

    def __init__(self, path: Path) -> None:
        self.localizer = Localizer.load(path)

    def locate(self, photos: Sequence[bytes]) -> Fix:
        return self.localizer.locate_together(photos)


def ask_everything(api: FastAPI, requests: int) -> Counter[int]:
    """At least so many requests over all operations -> how many were answered with each status.

    Raises AssertionError, with the request, for a server error.
    """
    operations: list[Any] = [
        result.ok()  # type: ignore[union-attr]  # an Err here is a fault of the description
        for result in schemathesis.openapi.from_asgi("/openapi.json", api).get_all_operations()
    ]
    found: Counter[int] = Counter()
    while found.total() < requests:
        for operation in operations:

            @settings(
                max_examples=max(1, requests // len(operations)), deadline=None, database=None,
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=operation.as_strategy())
            def ask(case: Any) -> None:
                answer = case.call()
                found[answer.status_code] += 1
                assert answer.status_code < 500

            ask()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=5000, help="at least so many (default 5000)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        campus = make_bundle(Path(folder) / "testfield")
        service = Service(InThisProcess(campus), Walks(campus), Gate())
        api = api_app(Bundle.load(campus), service, Inbox(Path(folder) / "inbox"))
        found = ask_everything(api, args.requests)
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(found.items()))
    print(f"{found.total()} requests, none a server error; by status {statuses}")


if __name__ == "__main__":
    main()
