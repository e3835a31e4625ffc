"""A fetched model for other programs: ONNX, torch, scikit-learn."""
