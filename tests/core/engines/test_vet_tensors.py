"""Tensors of a stranger's network: each lies in the file, once, and has a shape that a tensor can have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from core.campus.bundle import Bundle
from core.engines.onnx_file import MAX_RANK
from tests.core.engines.test_vet import Change, changed, constant, refusal, tensor


def said_to_be_elsewhere(model: Any) -> None:
    """No name says where: what a runtime makes of that is its own affair."""
    tensor(model, "half").data_location = TensorProto.EXTERNAL


def in_two_ways(model: Any) -> None:
    tensor(model, "half").float_data.append(0.5)


def of_fewer_sides_than_none(model: Any) -> None:
    """Both negative, so that their product is the count of what is there."""
    model.graph.initializer.append(
        TensorProto(name="odd", dims=[-1, -2], data_type=TensorProto.FLOAT, raw_data=bytes(8))
    )


def of_many_sides(model: Any) -> None:
    constant(model, "flat", np.zeros([1] * (MAX_RANK + 1)))


def texts_in_an_attribute(model: Any) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("more", ["a", "b"]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (said_to_be_elsewhere, "outside the file"),
        (in_two_ways, "does not lie in the file, or twice"),
        (of_fewer_sides_than_none, "an absurd shape"),
        (of_many_sides, "an absurd shape"),
        (texts_in_an_attribute, "strings"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_a_tensor_that_cannot_be_is_refused(pristine: Path, change: Change, said: str) -> None:
    assert said in refusal(changed(Bundle.load(pristine).read("model.onnx"), change))
