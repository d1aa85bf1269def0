"""The commands that a person is told are those of the system that runs."""

from pathlib import Path

import pytest

from realtime.devices import set_up

SYSTEMS = {
    "debian": "ID=debian\n",
    "ubuntu": 'ID="ubuntu"\nID_LIKE=debian\n',
    "mint": 'ID=linuxmint\nID_LIKE="ubuntu debian"\n',
    "fedora": "ID=fedora\n",
    "arch": "ID=arch\n",
}


def release(tmp_path: Path, name: str) -> Path:
    file = tmp_path / "os-release"
    file.write_text(f"PRETTY_NAME=something\n{SYSTEMS[name]}")
    return file


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("debian", "sudo apt install libportaudio2"),
        ("ubuntu", "sudo apt install libportaudio2"),
        ("mint", "sudo apt install libportaudio2"),
        ("fedora", "sudo dnf install portaudio"),
        ("arch", "install libportaudio2 (as Debian names them)"),
    ],
)
def test_packages_are_named_as_the_system_does(tmp_path: Path, name: str, command: str) -> None:
    assert set_up.install("libportaudio2", os_release=release(tmp_path, name)) == command


def test_a_system_that_does_not_say_what_it_is_gets_names(tmp_path: Path) -> None:
    assert set_up.install("libpulse0", os_release=tmp_path / "none").startswith("install libpulse0")


def test_the_module_comes_with_what_it_is_built_with(tmp_path: Path) -> None:
    debian = set_up.install_module(release(tmp_path, "ubuntu"))
    assert "v4l2loopback-dkms linux-headers-$(uname -r) && sudo modprobe v4l2loopback" in debian
    fedora = set_up.install_module(release(tmp_path, "fedora"))
    assert "akmod-v4l2loopback" in fedora and "RPM Fusion" in fedora and "akmods --force" in fedora


def test_a_module_that_is_built_is_only_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "6.1" / "updates" / "dkms"
    folder.mkdir(parents=True)
    assert "install" in set_up.load_module("6.1", tmp_path)
    (folder / "v4l2loopback.ko.xz").touch()
    assert set_up.load_module("6.1", tmp_path).startswith(set_up.LOAD)


def test_secure_boot_is_read_from_the_firmware(tmp_path: Path) -> None:
    state = tmp_path / "SecureBoot"
    assert not set_up.secure_boot(state)
    state.write_bytes(bytes([6, 0, 0, 0, 0]))
    assert not set_up.secure_boot(state)
    state.write_bytes(bytes([6, 0, 0, 0, 1]))
    assert set_up.secure_boot(state)


def test_the_key_is_the_one_that_the_system_signs_with(tmp_path: Path) -> None:
    assert "/var/lib/dkms/mok.pub" in set_up.enroll_key(release(tmp_path, "debian"))
    assert "/var/lib/shim-signed/mok/MOK.der" in set_up.enroll_key(release(tmp_path, "mint"))
    assert "/etc/pki/akmods" in set_up.enroll_key(release(tmp_path, "fedora"))
