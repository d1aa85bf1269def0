"""The lip-sync expert: how well a mouth and a sound belong together."""
