"""Field photos with GPS -> whether a campus is well: exit code 1 where a limit is passed, so that cron can run it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from core.campus.bundle import Bundle
from core.io.files import check_replaceable, read_regular, written_atomically
from train.grow.arrivals import read_arrivals
from train.grow.checkup import Checkup, Limits, checkup

# By which a page and a JSON file of an earlier checkup are known: cron writes over them each day.
_PAGE, _JSON = b": health</title>", b'"after_refresh":'


def _is_earlier(out: Path, mark: bytes) -> bool:
    return out.is_file() and mark in read_regular(out, 4096)


def lines(found: Checkup, bundle: Bundle) -> list[str]:
    """What was found, in words: all photos, what is wrong and what to do."""
    overall = next((part for part in found.groups if part.by == "all"), None)
    out = [f"{bundle.manifest.name}: {len(found.names)} photos, {found.refused.mean():.0%} refused"]
    if found.known:
        out.append(f"  {found.known} photos that the campus was made of are left out")
    if overall is not None:
        out += [
            f"  error    mean {overall.mean_m:.1f} m, median {overall.median_m:.1f} m (accepted photos)",
            f"  radius   68 % holds {overall.coverage68.share:.0%}, 95 % holds {overall.coverage95.share:.0%}",
            f"  radii would have to be {found.factor68[-1]:.2f} and {found.factor95[-1]:.2f} times as large now "
            "(adaptive conformal prediction)",
        ]
    out += [f"ALARM  {alarm.name}: {alarm.message}" for alarm in found.alarms]
    return [*out, *(f"-> {advice}" for advice in found.advice)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="the campus to check")
    parser.add_argument(
        "source", type=Path, metavar="PHOTOS|DATASET|INBOX", help="field photos that carry their position"
    )
    limits = Limits()
    for name, value, help_ in (
        ("least-coverage68", limits.coverage68, "alarm below this share of photos within their 68 %% radius"),
        ("least-coverage95", limits.coverage95, "alarm below this share of photos within their 95 %% radius"),
        ("most-refused", limits.refused, "alarm above this share of refused photos"),
        ("most-unlike", limits.unlike, "alarm above this share of photos that look unlike the campus's own"),
        (
            "most-growth",
            limits.error_growth,
            "alarm where the median error is more than so many times what it was: of accepted photos, or of all where "
            "the bundle keeps no figure of accepted ones",
        ),
    ):
        parser.add_argument(f"--{name}", type=float, default=value, metavar="X", help=f"{help_} (default: %(default)s)")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page there, which asks the network for nothing"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the same for programs")
    parser.add_argument("--force", action="store_true", help="replace also files that no earlier checkup wrote")


def main(args: argparse.Namespace) -> int:
    for out, mark in ((args.html, _PAGE), (args.json, _JSON)):
        if out is not None:
            check_replaceable(out, args.force or _is_earlier(out, mark), "file", None)
    bundle = Bundle.load(args.bundle)
    limits = Limits(args.least_coverage68, args.least_coverage95, args.most_refused, args.most_unlike, args.most_growth)
    arrivals = read_arrivals(args.source, bundle.manifest.image_size, bundle)
    found = checkup(bundle, arrivals, limits)
    print("\n".join(lines(found, bundle)))
    if args.json:
        with written_atomically(args.json) as temporary:
            temporary.write_text(json.dumps(found.as_json(), indent=1) + "\n", encoding="utf-8")
    if args.html:
        from train.grow.health_page import health_page

        with written_atomically(args.html) as temporary:
            temporary.write_text(health_page(found, bundle, limits), encoding="utf-8")
        print(f"{args.html}: open it in a browser")
    return 0 if found.well else 1
