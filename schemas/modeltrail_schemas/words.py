"""Words that both the emitter and the collector say."""


def counted(number: int, noun: str, *verb: str) -> str:
    """So many of something: `1 file`, `1,000 files`; with a verb for one and for several `1 file waits`."""
    return " ".join([f"{number:,} {noun}{'' if number == 1 else 's'}", *verb[number != 1 :][:1]])
