from __future__ import annotations

from importlib.metadata import version

import rosbags

from edge.device.machine import module_version


def test_a_module_that_tells_no_version_has_that_of_its_package() -> None:
    assert not hasattr(rosbags, "__version__")
    assert module_version("rosbags") == version("rosbags")
    assert (module_version("tests"), module_version("no_such_module")) == ("?", "")
