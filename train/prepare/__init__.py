"""From folders of talking-face videos to shards to train on: `lipline prepare`. docs/design/data.md tells the whole."""
