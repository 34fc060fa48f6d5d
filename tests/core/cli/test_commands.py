from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType

import pytest

from core.cli.commands import Command, run_command
from core.errors import MissingDependency, OccupiedError


def command(monkeypatch: pytest.MonkeyPatch, missing: str) -> dict[str, Command]:
    """A command whose work needs a package that is not there."""
    module = ModuleType("made_up_command", "Do something.")
    module.add_arguments = lambda parser: parser.add_argument("--times", type=int, default=1)  # type: ignore[attr-defined]

    def main(args: object) -> int:
        if missing:
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return 7 * args.times  # type: ignore[attr-defined]

    module.main = main  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made_up_command", module)
    return {"do": Command("made_up_command", "do something", "requirements-train.txt")}


def run(monkeypatch: pytest.MonkeyPatch, commands: dict[str, Command], *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tool", *words])
    return run_command("tool", "A tool.", commands)


def test_the_chosen_command_runs_with_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, command(monkeypatch, ""), "do", "--times", "3") == 21


def test_a_package_missed_at_work_names_the_file_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingDependency, match=r"torch is not installed: pip install -r requirements-train\.txt"):
        run(monkeypatch, command(monkeypatch, "torch.nn"), "do")


def test_a_module_of_ours_that_is_missing_is_a_fault_and_not_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"core\.nothing"):
        run(monkeypatch, command(monkeypatch, "core.nothing"), "do")


@pytest.mark.parametrize("words", [(), ("undo",), ("--bad",)])
def test_no_such_command_is_exit_code_2(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, command(monkeypatch, ""), *words)
    assert stop.value.code == 2


def test_a_command_typed_by_its_former_name_runs_with_a_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tool", "make", "--times", "2"])
    commands = command(monkeypatch, "")
    assert run_command("tool", "A tool.", commands, former_names={"make": "do"}) == 14
    assert capsys.readouterr().err == "note: make is now called do\n"


@pytest.mark.parametrize("replaceable", [True, False])
@pytest.mark.parametrize(
    ("options", "given", "remedy"),
    [
        (["--out", "--force"], ["--out", "there", "--force"], "choose another --out, or replace it with --force"),
        (["--a-page", "--force"], ["--a-page", "there"], "choose another --a-page, or replace it with --force"),
        (["--report"], ["--report", "there"], "choose another --report"),
        (["--report"], [], "choose another place, or replace it"),
        (["--out", "--force"], [], "choose another --out, or replace it with --force"),  # where it is the default
    ],
)  # fmt: skip
def test_an_occupied_place_is_told_by_the_command_s_own_options(
    monkeypatch: pytest.MonkeyPatch, options: list[str], given: list[str], remedy: str, replaceable: bool
) -> None:
    commands, module = command(monkeypatch, ""), sys.modules["made_up_command"]

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        for option in options:
            parser.add_argument(option, **({"action": "store_true"} if option == "--force" else {"type": Path}))  # type: ignore[arg-type]

    def main(_: object) -> int:
        raise OccupiedError("there", "report", replaceable)

    monkeypatch.setattr(module, "add_arguments", add_arguments)
    monkeypatch.setattr(module, "main", main)
    with pytest.raises(OccupiedError) as caught:
        run(monkeypatch, commands, "do", *given)
    assert caught.value.remedy == (remedy if replaceable else remedy.partition(",")[0])
