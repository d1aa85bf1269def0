"""The stock networks against what is public about their checkpoints."""

import pytest
import torch
from stock_nets import expected_shapes

from models.expert.network import SyncNet
from models.wav2lip.discriminator import QualityDiscriminator
from models.wav2lip.network import Wav2Lip

NETWORKS: dict[str, type[torch.nn.Module]] = {
    "wav2lip": Wav2Lip,
    "syncnet": SyncNet,
    "discriminator": QualityDiscriminator,
}
PARAMETERS = {"wav2lip": 36_298_035, "syncnet": 16_435_072, "discriminator": 14_113_793}


def on_meta(kind: str) -> torch.nn.Module:
    with torch.device("meta"):
        return NETWORKS[kind]()


@pytest.mark.parametrize("kind", NETWORKS)
def test_parameters_and_keys_are_those_of_the_public_checkpoints(kind: str) -> None:
    network = on_meta(kind)
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[kind]
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == expected_shapes(kind)


@pytest.mark.parametrize(
    ("kind", "inputs", "outputs"),
    [
        ("wav2lip", [(2, 1, 80, 16), (2, 6, 96, 96)], [(2, 3, 96, 96)]),
        ("wav2lip", [(2, 5, 1, 80, 16), (2, 6, 5, 96, 96)], [(2, 3, 5, 96, 96)]),
        ("syncnet", [(2, 1, 80, 16), (2, 15, 48, 96)], [(2, 512), (2, 512)]),
        ("discriminator", [(2, 3, 96, 96)], [(2, 1)]),
        ("discriminator", [(2, 3, 5, 96, 96)], [(10, 1)]),
    ],
)
def test_shapes(kind: str, inputs: list[tuple[int, ...]], outputs: list[tuple[int, ...]]) -> None:
    result = on_meta(kind)(*(torch.empty(shape, device="meta") for shape in inputs))
    results = result if isinstance(result, tuple) else (result,)
    assert [tuple(value.shape) for value in results] == outputs


def test_clip_frames_are_single_frames_in_place() -> None:
    torch.manual_seed(4)
    network = Wav2Lip().eval()
    mel, face = torch.rand(2, 2, 1, 80, 16), torch.rand(2, 6, 2, 96, 96)
    with torch.no_grad():
        clips = network(mel, face)
        one = network(mel[1, 0][None], face[1, :, 0][None])
    torch.testing.assert_close(clips[1, :, 0], one[0], rtol=0, atol=1e-5)


def test_expert_embeddings_are_unit_and_not_negative() -> None:
    torch.manual_seed(4)
    with torch.no_grad():
        audio, video = SyncNet()(torch.randn(3, 1, 80, 16), torch.rand(3, 15, 48, 96))
    for embedding in (audio, video):
        torch.testing.assert_close(embedding.norm(dim=1), torch.ones(3))
        assert (embedding >= 0).all()


def test_discriminator_sees_only_the_lower_half() -> None:
    torch.manual_seed(4)
    network = QualityDiscriminator().eval()
    frames = torch.rand(1, 3, 96, 96)
    other_eyes, other_mouth = frames.clone(), frames.clone()
    other_eyes[:, :, :48] = 0
    other_mouth[:, :, 48:] = 0
    with torch.no_grad():
        assert network(frames).equal(network(other_eyes))
        assert not network(frames).equal(network(other_mouth))
