"""BLAS on one thread for as long as anybody needs it, and as before afterwards."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
from threadpoolctl import ThreadpoolController

from core.locate.threads import one_blas_thread


def test_of_two_that_overlap_the_last_one_gives_blas_its_threads_back() -> None:
    assert np.ones((2, 2)) @ np.ones(2) is not None  # its BLAS is loaded
    loaded = ThreadpoolController().select(user_api="blas")
    # SciPy brings another one, which may be loaded long after the first fix.
    libraries = loaded.select(filepath=[one.filepath for one in loaded.lib_controllers if "numpy" in one.filepath])
    first, second = ExitStack(), ExitStack()

    def threads() -> set[int]:
        return {library.num_threads for library in libraries.lib_controllers}

    with libraries.limit(limits=2):
        assert threads() == {2}
        first.enter_context(one_blas_thread())
        second.enter_context(one_blas_thread())
        first.close()
        assert threads() == {1}
        second.close()
        assert threads() == {2}
