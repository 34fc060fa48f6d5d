"""The names that files of a bundle have, and those that may never travel with one."""

CAMPUS_JSON = "campus.json"
SAMPLES = "samples/"  # what the names of sample photos begin with
MODEL_SAFETENSORS = "model.safetensors"
ENGINE, KEY = "model.engine", "engine.json"  # machine code, which each device builds for itself
EDGE_MODEL = "edge/model.fp16.onnx"  # where a packed bundle carries what engines are built from
THUMBNAILS = "thumbnails.npz"  # small pictures of the gallery's photos, for people
# The second look: its network, the gallery's local features, and the licence that both travel under.
LOCAL_MODEL, LOCAL_GALLERY, LOCAL_LICENCE = "local.onnx", "gallery.local.npz", "local.LICENCE.txt"
