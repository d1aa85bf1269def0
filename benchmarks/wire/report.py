"""The table of a matrix as Markdown. Pure; works on a store's records."""

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.wire.store import Store
from benchmarks.wire.verdict import TARGETS, Record, missed, verdicts

Call = dict[str, Any]

NONE = "–"
DISTURBED = "†"
OTHERS = 0.3
"""More cores than this busy with something else is called disturbed."""

HEAD = """\
# Calls over bad links

Made by `{command}`; do not edit. Every cell is one kind of bad link, called over twice: with lipline
(its own caller, the filter) and with stock aiortc at caller and node, over the same seeded link in the same run.
"""

METHOD = """\
## How it was measured

- Caller, node and viewer are processes of their own on one machine, clip {size} at 25 pictures a second with speech.
  The link (`realtime/rtc/badlink/link.py`) sits between the caller and the node; node to viewer is clean. It drops what
  waits longer than 300 ms, delays by 20 ms, keeps the order, and is good (2000 kbit/s, no loss) for the first 3 s and
  the last 5 s of each call (7 s where the picture must come back first). In between it is as the row says; rate 0 lets
  nothing pass, so that no speech arrives there. An outage lets nothing pass either; those up to 3 s are repeated every
  2 to 3 s.
- *Freezes* are counted at the viewer by W3C's freezeCount over pictures that differ from the one before, so that
  repeating a picture hides nothing; *s* is totalFreezesDuration. *In speech* are those during which audio reached the
  node for at least half of the time.
- *Skew* is |p95| of how much later the picture is than the sound heard with it. For real pictures both are recognised
  at the viewer by content. A synthetic picture is in no clip: there it is the node's own figure.
- *Missing* is the share of 20 ms blocks of speech that are absent, 12 dB too weak, or unlike what was said, at the
  viewer, for both calls alike. Speech said while nothing can pass is left out. *Concealed* is the node's
  concealedSamples over all samples of the bad time, outages included.
- *Delay* is from the caller's mouth to the viewer's ear without a playout buffer of the viewer's own, median in the bad
  time; *after* is how much more it is than before, from 2 s after the link is good (and the picture real) again.
- *To synth*, *to return* are the node's worst timeToSynthMs and timeToReturnMs (from the first real arrival on).
  *Back* is seen at the viewer: from the link's restoration to the first new picture of the caller, worst.
- *Link lost* is the share of the bytes of audio offered to the link that it dropped. *SYNTH kbit/s* is all that the
  caller sends, IP and UDP headers included, while the node is in SYNTH, before video is tried again; *speech* is the
  audio in it, *data* the data channel with its SCTP and DTLS. *Plain kbit/s* is all that the stock caller sends in the
  bad time.
- {dash} means not measured or not to be measured; **bold** is a missed target.
"""


def report(store: Store, order: Sequence[str]) -> str:
    """Return the whole document; cells in the given order, unknown ones last."""
    names = [name for name in order if name in store.cells] + [name for name in store.cells if name not in set(order)]
    records = [store.cells[name] for name in names]
    facts = store.runs[-1] if store.runs else {}
    size = "x".join(str(side) for side in store.settings["size"])
    parts = [
        HEAD.format(command=facts.get("command", "python -m benchmarks.wire.matrix")),
        _facts(store, records),
        _summary(records),
        "## Pictures\n\n" + _table(PICTURES, records),
        "## Sound and wire\n\n" + _table(SOUND, records),
        METHOD.format(size=size, dash=NONE),
    ]
    broken = [f"- {_title(record)}: {record['error'].splitlines()[0]}" for record in records if "error" in record]
    if broken:
        parts.insert(3, "## Cells that broke\n\n" + "\n".join(broken) + "\n")
    return "\n".join(parts)


# --- facts -----------------------------------------------------------------------------------------------------------


def _facts(store: Store, records: Sequence[Record]) -> str:
    lines = []
    used = sorted({record["run"] for record in records})
    for place in used or range(len(store.runs)):
        facts = store.runs[place]
        head = "" if len(used) <= 1 else f" of run {place + 1}"
        lines += [f"- {name}{head}: {value}" for name, value in facts.items()]
    settings = ", ".join(f"{name} {value}" for name, value in store.settings.items())
    return "\n".join([*lines, f"- settings: {settings}", *_load(records)]) + "\n"


def _load(records: Sequence[Record]) -> list[str]:
    """Return in words how much of the machine the calls took, and which cells something else disturbed."""
    calls = [(record, record[name]) for record in records if "error" not in record for name in ("lipline", "plain")]
    own = [call["ownCores"] for _, call in calls if call["ownCores"] is not None]
    if not own:
        return []
    lines = [f"- load of a call: its three processes took {min(own):.2f} to {max(own):.2f} cores"]
    floor = [share for _, call in calls if (share := call.get("missingShareLead")) is not None]
    if floor:
        lines.append(f"- speech called missing before the link turned bad: {max(floor) * 100.0:.1f} % at most")
    loud = [_title(record) for record in records if disturbed(record)]
    if loud:
        lines.append(f"- {DISTURBED} disturbed by other programs (more than {OTHERS} cores): {'; '.join(loud)}")
    return lines


def disturbed(record: Record) -> bool:
    """Return whether other programs took more than a little of the machine during one of the calls."""
    calls = [] if "error" in record else [record["lipline"], record["plain"]]
    return any(
        None not in (call["busyCores"], call["ownCores"]) and call["busyCores"] - call["ownCores"] > OTHERS
        for call in calls
    )


# --- summary ---------------------------------------------------------------------------------------------------------


def _summary(records: Sequence[Record]) -> str:
    lines = ["## Targets", "", "| target | lipline | missed in | plain aiortc |", "|---|---|---|---|"]
    for target in TARGETS:
        ours = [(record, verdicts(record)[target.key]) for record in records]
        judged = [(record, met) for record, met in ours if met is not None]
        plain = [met for record in records if (met := verdicts(record, "plain")[target.key]) is not None]
        places = "; ".join(_title(record) for record, met in judged if not met)
        lines.append(f"| {target.words} | {_tally([met for _, met in judged])} | {places} | {_tally(plain)} |")
    return "\n".join(lines) + "\n"


def _tally(met: Sequence[bool | None]) -> str:
    if not met:
        return NONE
    return f"{'met' if all(met) else 'MISSED'}, {sum(bool(one) for one in met)} of {len(met)} cells"


def _title(record: Record) -> str:
    cell = record["cell"]
    words = [f"{cell['loss']} %"] if cell["loss"] else []
    words += [f"jitter {cell['jitter']}"] if cell["jitter"] else []
    words += [f"{cell['rate']} kbit/s"] if cell["rate"] != 2000 else []
    words += [f"outage {cell['outage']:g} s"] if cell["outage"] else []
    return ", ".join(words) or "good link"


# --- tables ----------------------------------------------------------------------------------------------------------

Column = tuple[str, str, Callable[[Record], str]]
"""Heading, key of the target that judges it (or ""), and the words of a record."""


def _number(value: float | None, digits: int = 0, scale: float = 1.0) -> str:
    return NONE if value is None else f"{value * scale:.{digits}f}"


def _of(call: str, name: str, digits: int = 0, scale: float = 1.0) -> Callable[[Record], str]:
    return lambda record: _number(record[call].get(name), digits, scale)


def _worst(call: str, name: str) -> Callable[[Record], str]:
    def words(record: Record) -> str:
        values = record[call].get(name) or []
        if not values:
            return NONE
        # One that never came back is the worst.
        return "never" if None in values else _number(max(values))

    return words


def _freezes(call: str) -> Callable[[Record], str]:
    def words(record: Record) -> str:
        found = record[call]
        if not found["pictures"]:
            return "no picture"
        inside = f", {found['freezeCountInSpeech']} in speech" if record["speech"] != "yes" else ""
        return f"{found['freezeCount']} ({found['totalFreezesDuration']:.1f} s{inside})"

    return words


PICTURES: tuple[Column, ...] = (
    ("freezes", "freezes", _freezes("lipline")),
    ("plain", "", _freezes("plain")),
    ("skew real, ms", "skew", _of("lipline", "skewP95Ms")),
    ("plain", "", _of("plain", "skewP95Ms")),
    ("skew synth, ms", "skew synth", _of("lipline", "skewSynthP95Ms")),
    ("to synth, ms", "", _worst("lipline", "timeToSynthMs")),
    ("to return, ms", "", _worst("lipline", "timeToReturnMs")),
    ("back, ms", "", _worst("lipline", "pictureBackMs")),
    ("plain", "", _worst("plain", "pictureBackMs")),
    ("picture delay, ms", "", _of("lipline", "pictureDelayMs")),
    ("plain", "", _of("plain", "pictureDelayMs")),
)

SOUND: tuple[Column, ...] = (
    ("concealed, %", "concealed", _of("lipline", "concealedShare", 1, 100.0)),
    ("missing, %", "missing", _of("lipline", "missingShare", 1, 100.0)),
    ("plain", "", _of("plain", "missingShare", 1, 100.0)),
    ("delay, ms", "", _of("lipline", "soundDelayMs")),
    ("plain", "", _of("plain", "soundDelayMs")),
    ("after, ms", "delay", _of("lipline", "soundDelayExtraMs")),
    ("plain", "", _of("plain", "soundDelayExtraMs")),
    ("link lost, %", "", _of("lipline", "linkLostAudio", 1, 100.0)),
    ("plain", "", _of("plain", "linkLostAudio", 1, 100.0)),
    ("SYNTH kbit/s", "wire", _of("lipline", "synthKbps", 1)),
    ("speech", "", _of("lipline", "synthSpeechKbps", 1)),
    ("data", "", _of("lipline", "synthDataKbps", 1)),
    ("RTCP", "", _of("lipline", "synthRtcpKbps", 1)),
    ("plain kbit/s", "", _of("plain", "offeredKbps")),
)

LINK = ("loss, %", "jitter, ms", "kbit/s", "outage, s", "speech")


def _table(columns: Sequence[Column], records: Sequence[Record]) -> str:
    heads = [*LINK, *(head for head, _, _ in columns)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for record in records:
        cell = record["cell"]
        outage = f"{cell['outage']:g}" if cell["outage"] else NONE
        speech = f"{record['speech']} {DISTURBED}" if disturbed(record) else record["speech"]
        row = [str(cell["loss"]), str(cell["jitter"]), str(cell["rate"]), outage, speech]
        if "error" in record:
            row += ["broke", *[""] * (len(columns) - 1)]
        else:
            met = verdicts(record)
            row += [_marked(words(record), met.get(key)) for _, key, words in columns]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def _marked(words: str, met: bool | None) -> str:
    return f"**{words}**" if met is False else words


def progress_line(record: Record) -> str:
    """Return what a cell showed, in one line for the terminal."""
    if "error" in record:
        return str(record["error"]).splitlines()[0]
    words = []
    for name in ("lipline", "plain"):
        words.append(
            f"{name}: freezes {_freezes(name)(record)}, {_of(name, 'missingShare', 1, 100.0)(record)} % missing"
        )
    bad = missed(record)
    return "; ".join([*words, f"missed: {', '.join(bad)}" if bad else "all targets met"])
