"""From a campus bundle to a device: FP16 TensorRT on a Jetson, INT8 ONNX Runtime on a CPU."""
