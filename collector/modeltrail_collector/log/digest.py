"""The digest in a segment's header: SHA-256 of the whole file with these 64 characters written as zeros."""

from hashlib import sha256

KEY = "modeltrail.sha256"
ZEROS = b"0" * 64

# The Avro string length 64 after the key: not valid UTF-8, so no text of the header can hold it.
_MARK = KEY.encode() + b"\x80\x01"


def position(data: bytes) -> int:
    """Where in a file it stands.

    Raises:
        ValueError: Nowhere.
    """
    at = data.find(_MARK)
    if at < 0:
        raise ValueError("its header has no digest")
    return at + len(_MARK)


def check(data: bytes) -> str:
    """The digest of a file, which is the one in its header: every bit counts.

    Raises:
        ValueError: It is another.
    """
    at = position(data)
    digest = sha256(data[:at])
    digest.update(ZEROS)
    digest.update(memoryview(data)[at + 64 :])
    if digest.hexdigest() != data[at : at + 64].decode("ascii", "replace"):
        raise ValueError("its SHA-256 is not the one it was sealed with")
    return digest.hexdigest()
