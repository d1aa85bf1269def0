"""Make the bundled face networks from MediaPipe's Face Landmarker bundle."""
