"""Who meets whom: rooms, tokens, and the relay of SDP and ICE between peers."""
