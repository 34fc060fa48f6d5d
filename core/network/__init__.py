"""The network, its weights file, and its way to ONNX. The only room that needs torch."""
