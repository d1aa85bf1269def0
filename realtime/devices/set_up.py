"""The one-time set-up of devices, as commands of this system's own tools for a person to type. Nothing is run here."""

import os
import sys
from pathlib import Path
from typing import Final

EXTRA: Final = 'pip install "lipline[camera]"'
"""In double quotes: Windows' own shell knows no others."""
LOAD: Final = 'sudo modprobe v4l2loopback exclusive_caps=1 card_label="lipline"'
RELOAD: Final = f"close what uses the camera, then: sudo rmmod v4l2loopback && {LOAD}"
OBS: Final = (
    "install OBS Studio (obsproject.com), press Start Virtual Camera in it once (macOS asks to allow its extension in "
    "System Settings), then Stop, and close OBS"
)
MAC_CAMERA, MAC_MICROPHONE = (
    f"allow it in System Settings, Privacy & Security, {what}, for the terminal that runs lipline"
    for what in ("Camera", "Microphone")
)
WINDOWS_CAMERA, WINDOWS_MICROPHONE = (
    f"allow it in Settings, Privacy & security, {what} (also: let desktop apps access it)"
    for what in ("Camera", "Microphone")
)
VIDEO_GROUP: Final = "sudo usermod -aG video $USER, then log out and in again"
AUDIO_GROUP: Final = "sudo usermod -aG audio $USER, then log out and in again"

_FEDORA: Final = {
    "v4l2loopback-dkms": "akmod-v4l2loopback",
    "libpulse0": "pulseaudio-libs",
    "libportaudio2": "portaudio",
    "pipewire-pulse": "pipewire-pulseaudio",
}
_KEYS: Final = {
    "ubuntu": "/var/lib/shim-signed/mok/MOK.der",
    "fedora": "/etc/pki/akmods/certs/public_key.der",
    "debian": "/var/lib/dkms/mok.pub",
}
"""With what each distribution signs the modules that it builds."""
_HEADERS: Final = "linux-headers-$(uname -r)"
_EFI: Final = Path("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")


def install(*packages: str, os_release: Path = Path("/etc/os-release")) -> str:
    """Return the command that installs packages, given by their names in Debian."""
    family = _family(os_release)
    if family & {"debian", "ubuntu"}:
        return f"sudo apt install {' '.join(packages)}"
    if family & {"fedora", "rhel", "centos"}:
        return f"sudo dnf install {' '.join(_FEDORA.get(package, package) for package in packages)}"
    return f"install {' '.join(packages)} (as Debian names them)"


def install_module(os_release: Path = Path("/etc/os-release")) -> str:
    """Return how to install v4l2loopback and load it."""
    family = _family(os_release)
    if family & {"fedora", "rhel", "centos"}:
        # Fedora itself does not have it, and akmods builds it at the next start unless it is told to now.
        command = install("v4l2loopback-dkms", os_release=os_release)
        return f"{command} (from RPM Fusion: rpmfusion.org/Configuration) && sudo akmods --force && {LOAD}"
    if family & {"debian", "ubuntu"}:
        return f"{install('v4l2loopback-dkms', _HEADERS, os_release=os_release)} && {LOAD}"
    return f"{install('v4l2loopback-dkms', os_release=os_release)}, then {LOAD}"


def secure_boot(state: Path = _EFI) -> bool:
    """Return whether the machine's firmware lets only signed modules be loaded."""
    try:
        # Four bytes of attributes come before the value.
        return state.read_bytes()[-1:] == b"\1"
    except OSError:
        return False


def load_module(release: str = "", modules: Path = Path("/lib/modules")) -> str:
    """Return how to load v4l2loopback, and how to install it first where it is not built for the running kernel."""
    folder = modules / (release or os.uname().release)
    built = any(
        (folder / place / f"v4l2loopback.ko{packed}").exists()
        for place in ("updates", "updates/dkms", "extra", "extra/v4l2loopback", "kernel/v4l2loopback")
        for packed in ("", ".xz", ".zst", ".gz")
    )
    return (LOAD if built else install_module()) + (f"; {enroll_key()}" if secure_boot() else "")


def enroll_key(os_release: Path = Path("/etc/os-release")) -> str:
    """Return how to let Secure Boot accept modules that were built on this machine."""
    family = _family(os_release)
    key = next((key for name, key in _KEYS.items() if name in family), _KEYS["debian"])
    why = 'if that says "Key was rejected by service", Secure Boot does not know who built the module'
    return f"{why}: sudo mokutil --import {key}, restart, choose Enroll MOK"


def portaudio() -> str:
    """Return how to install what sound devices need where no sound server runs."""
    return f"{EXTRA} && {install('libportaudio2')}" if sys.platform.startswith("linux") else EXTRA


def sound_server() -> str:
    """Return how to install and start a sound server and the tools to control it."""
    return f"{install('pulseaudio-utils', 'libpulse0', 'pipewire-pulse')}, then log out and in again"


def _family(os_release: Path) -> set[str]:
    """Return the name of this distribution and of those that it derives from."""
    try:
        lines = os_release.read_text(errors="replace").splitlines()
    except OSError:
        return set()
    pairs = dict(line.split("=", 1) for line in lines if "=" in line)
    return {word for key in ("ID", "ID_LIKE") for word in pairs.get(key, "").strip("\"'").lower().split()}
