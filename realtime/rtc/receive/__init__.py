"""What arrives over RTP: packets repaired and put in order, decoded, and set on one media clock."""
