"""On the workshop: a bundle -> checked ONNX for devices."""
