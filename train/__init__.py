"""Training: from videos to shards, four trainers, enrolment and evaluation. Needs the extra `train` (torch).

- `prepare`: folders of talking-face videos to shards; `data`: shards as clips, and the clips that a step draws from.
- `loop`: steps, evaluations and checkpoints of every trainer; `losses`: what the trainers minimise.
- `lite`, `expert`, `near`, `wav2lip`: the four trainers, chosen by `kinds`.
- `enroll`: a lite generator learns one person. `evaluate`: generators compared on prepared clips.
- `head`: a rendered talking head, for tests and for corpora of nobody.
"""
