"""Who meets whom: rooms, tokens, and the relay of SDP and ICE over websockets."""
