"""The WebRTC skin: aiortc peers, their tracks, clocks and control channel, and a made-bad link for tests."""
