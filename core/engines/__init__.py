"""Ways to run the network: ONNX Runtime, TensorRT, and the choice among them."""
