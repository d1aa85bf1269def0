"""Reception over RTP: packets are repaired and put in order, decoded, and put on one media clock."""
