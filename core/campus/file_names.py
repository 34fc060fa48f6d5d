"""The names that files of a bundle have, and those that may never travel with one."""

CAMPUS_JSON = "campus.json"
SAMPLES = "samples/"  # what the names of sample photos begin with
MODEL_SAFETENSORS = "model.safetensors"
# Machine code, which each device builds for itself, and what it was built for: the network's and the second look's.
ENGINE, KEY = "model.engine", "engine.json"
LOCAL_ENGINE, LOCAL_KEY = "local.engine", "local.engine.json"
# Where a packed bundle carries what engines are built from.
EDGE_MODEL, EDGE_LOCAL_MODEL = "edge/model.fp16.onnx", "edge/local.fp16.onnx"
THUMBNAILS = "thumbnails.npz"  # small pictures of the gallery's photos, for people
# The second look: its network, the gallery's local features, and the licence that both travel under.
LOCAL_MODEL, LOCAL_GALLERY, LOCAL_LICENCE = "local.onnx", "gallery.local.npz", "local.LICENCE.txt"
