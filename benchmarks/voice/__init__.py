"""How well the mouth rests when nobody speaks: `python -m benchmarks.voice`."""
