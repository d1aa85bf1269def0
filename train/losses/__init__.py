"""Losses of the trainers: pure functions over tensors, and one module that holds a frozen network.

Shape suffixes: N batch, T frames, C channels, H W picture, P points, E features. Pictures are 0..1. Needs torch.
"""
