"""Ways to run a campus's network. Each is one file, found by its name: `--backend onnxruntime` is `onnxruntime.py`.

Such a file has `open_backend(bundle, threads)` -> Engine. It raises EngineError or BundleError where this machine or
the bundle lacks what it needs. `docs/templates/engine.py` is one to begin with.
"""
