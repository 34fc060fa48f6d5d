"""Any photo -> upright RGB and what the camera recorded."""
