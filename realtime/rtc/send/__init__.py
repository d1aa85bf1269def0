"""What leaves over RTP: tracks, packets and rates, and the caller that makes room for speech."""
