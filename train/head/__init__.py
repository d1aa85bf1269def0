"""A talking head that the project renders itself: a caller who is nobody, with known mouth and known phonemes."""

from train.head.appearance import Appearance, random_face
from train.head.pose import HeadPose, MouthAndPose, MouthShape
from train.head.render import render, true_opening

__all__ = ["Appearance", "HeadPose", "MouthAndPose", "MouthShape", "random_face", "render", "true_opening"]
