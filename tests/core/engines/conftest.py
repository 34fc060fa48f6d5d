"""A device and a packed campus, as the tests of `edge` make them."""

from tests.edge.conftest import bundle, device, pristine_export, pristine_pack, small, unpacked

__all__ = ["bundle", "device", "pristine_export", "pristine_pack", "small", "unpacked"]
