"""Whether a value is one of its entity, said by its check digits or, without any, by its shape.

Written from the rules, and apart from whatever made the values or will look for them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import json
import re
import zlib
from collections.abc import Callable, Mapping
from datetime import date

__all__ = ["CHECKERS", "VENDORS", "vendor"]


def _digits(text: str) -> list[int]:
    return [int(char) for char in text]


def _card(text: str) -> bool:
    if not re.fullmatch(r"[23456]\d{12,18}", text):
        return False
    folded = [d if at % 2 else (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)[d] for at, d in _from_right(text)]
    return sum(folded) % 10 == 0


def _from_right(text: str) -> list[tuple[int, int]]:
    """Digits with their place, the last one first, which has place 1."""
    return list(enumerate(reversed(_digits(text)), 1))


_IBAN_LENGTHS = {
    15: "NO",
    16: "BE",
    18: "DK FI NL",
    19: "SI",
    20: "AT EE LT LU",
    21: "CH HR",
    22: "BG DE GB IE",
    23: "AE IL",
    24: "CZ ES RO SA SE SK",
    25: "PT",
    26: "TR",
    27: "FR GR IT MC",
    28: "HU PL",
    29: "BR UA",
    31: "MT",
    33: "RU",
}


def _iban(text: str) -> bool:
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]+", text):
        return False
    rest = 0
    for char in text[4:] + text[:4]:
        number = int(char, 36)
        rest = (rest * (100 if number > 9 else 10) + number) % 97
    return rest == 1 and text[:2] in _IBAN_LENGTHS.get(len(text), "").split()


def _ssn(text: str) -> bool:
    return bool(re.fullmatch(r"(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}", text))


def _nino(text: str) -> bool:
    shape = r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]"
    return bool(re.fullmatch(shape, text))


def _nif(text: str) -> bool:
    number = text[:-1].translate(str.maketrans("XYZ", "012"))
    return bool(re.fullmatch(r"[XYZ\d]\d{7}[A-Z]", text)) and (
        "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == text[-1]
    )


def _codice_fiscale(text: str) -> bool:
    if not re.fullmatch(r"[A-Z]{6}\d{2}[ABCDEHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", text):
        return False
    odd = "BAFHJNPRTVCESULDGIMOQKWZYX"  # at odd places 0 or A is worth 1 (B), 1 or B 0 (A), …
    ranks = [int(c) if c.isdigit() else ord(c) - 65 for c in text[:-1]]
    total = sum(ranks[1::2]) + sum(ord(odd[rank]) - 65 for rank in ranks[0::2])
    return chr(65 + total % 26) == text[-1]


def _nir(text: str) -> bool:
    number = text[:-2].replace("2A", "19").replace("2B", "18")
    return bool(re.fullmatch(r"[12]\d{4}(\d\d|2A|2B)\d{8}", text)) and (
        (int(number) + int(text[-2:])) % 97 == 0
    )


def _steuer_id(text: str) -> bool:
    if not re.fullmatch(r"[1-9]\d{10}", text):
        return False
    counts = sorted(text[:10].count(digit) for digit in set(text[:10]))
    if counts not in ([1] * 8 + [2], [1] * 7 + [3]):
        return False
    product = 10
    for digit in _digits(text[:10]):
        product = ((digit + product) % 10 or 10) * 2 % 11
    return (product + int(text[10])) % 10 == 1


def _cpf(text: str) -> bool:
    digits = _digits(text)
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    first = sum(place * digit for place, digit in enumerate(digits[:9], 1)) % 11 % 10
    second = sum(place * digit for place, digit in enumerate(digits[:10])) % 11 % 10
    return digits[9:] == [first, second]


_DIHEDRAL = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_TURNED = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)


def _aadhaar(text: str) -> bool:
    check = 0
    for place, digit in _from_right(text):
        check = int(_DIHEDRAL[check][int(_TURNED[(place - 1) % 8][digit])])
    return len(text) == 12 and text[0] in "23456789" and check == 0


def _pan(text: str) -> bool:
    return bool(re.fullmatch(r"[A-Z]{3}[PCHFATBLJG][A-Z]\d{4}[A-Z]", text))


def _email(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    return bool(local) and bool(re.fullmatch(r"[\w-]+(\.[\w-]+)*\.[^\W\d]{2,}", domain))


def _phone(text: str) -> bool:
    return bool(re.fullmatch(r"\+[1-9]\d{7,14}", text))


def _ip(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _mac(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", text))


def _date(text: str) -> bool:
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text)) and (
        date(1900, 1, 1) < date.fromisoformat(text) < date(2026, 1, 1)
    )


def _wallet(text: str) -> bool:
    if text.startswith("0x"):
        return _ethereum(text[2:])
    return _segwit(text.lower()) if text.lower().startswith("bc1") else _base58(text)


def _ethereum(text: str) -> bool:
    from Crypto.Hash import keccak

    if not re.fullmatch(r"[0-9a-fA-F]{40}", text):
        return False
    digest = keccak.new(digest_bits=256, data=text.lower().encode()).hexdigest()
    pairs = zip(text.lower(), digest[:40], strict=True)
    mixed = "".join(char.upper() if nibble in "89abcdef" else char for char, nibble in pairs)
    return text in (text.lower(), mixed)


def _base58(text: str) -> bool:
    letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    if not text or not set(text) <= set(letters):
        return False
    number = 0
    for char in text:
        number = number * 58 + letters.index(char)
    if number.bit_length() > 200:
        return False
    data = number.to_bytes(25, "big")
    check = hashlib.sha256(hashlib.sha256(data[:21]).digest()).digest()[:4]
    return data[0] in (0, 5) and data[21:] == check


def _segwit(text: str) -> bool:
    letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    if not set(text[3:]) <= set(letters):
        return False
    data = [letters.index(char) for char in text[3:]]
    check = 1
    for value in [3, 3, 0, 2, 3, *data]:  # "bc", spread as the checksum wants it
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for bit, constant in enumerate(
            (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
        ):
            check ^= constant if top >> bit & 1 else 0
    return check == (1 if data[0] == 0 else 0x2BC830A3)


def _jwt(text: str) -> bool:
    if not re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", text):
        return False
    head, body, signature = (
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in text.split(".")
    )
    return "alg" in json.loads(head) and "sub" in json.loads(body) and len(signature) >= 32


def _private_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) >= 32
    except binascii.Error:
        return False


VENDORS: Mapping[str, str] = {
    "anthropic": r"sk-ant-(api|admin)\d\d-[\w-]{93}AA",
    "aws": r"A[KS]IA[A-Z2-7]{16}",
    "aws secret, azure storage": r"[A-Za-z0-9+/]{40}|[A-Za-z0-9+/]{86}==",
    "azure": r"\w{3}\dQ~[\w.-]{31}",
    "databricks": r"dapi[0-9a-f]{32}",
    "digitalocean": r"dop_v1_[0-9a-f]{64}",
    "docker": r"dckr_pat_[\w-]{27}",
    "github": r"gh[posu]_\w{36}|github_pat_\w{22}_\w{59}",
    "gitlab": r"gl(pat|dt|rt)-[\w-]{20}",
    "google": r"AIza[\w-]{35}|GOCSPX-[\w-]{28}|ya29\.[\w-]{62}",
    "grafana": r"glsa_\w{32}_[0-9a-f]{8}",
    "groq": r"gsk_\w{52}",
    "hugging face": r"hf_\w{34}",
    "langsmith": r"lsv2_(pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}",
    "linear": r"lin_api_\w{40}",
    "mailgun": r"key-[0-9a-f]{32}",
    "new relic": r"NRAK-[A-Z0-9]{27}",
    "notion": r"ntn_\d{11}\w{35}",
    "npm": r"npm_\w{36}",
    "openai": r"sk-(proj-)?[\w-]+T3BlbkFJ[\w-]+",
    "perplexity": r"pplx-\w{48}",
    "pinecone": r"pcsk_\w{5}_\w{63}",
    "postman": r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",
    "pypi": r"pypi-AgEIcHlwaS5vcmc[\w-]{130}",
    "replicate": r"r8_\w{37}",
    "sendgrid": r"SG\.[\w-]{22}\.[\w-]{43}",
    "shopify": r"shpat_[0-9a-f]{32}",
    "slack": r"xox[bp]-[\w-]+|xapp-1-[\w-]+|https://hooks\.slack\.com/services/\w+/\w+/\w{24}",
    "stripe": r"[sr]k_(live|test)_\w{24,99}|whsec_\w{32}",
    "tavily": r"tvly-\w{32}",
    "telegram": r"\d{10}:AA[\w-]{33}",
    "twilio": r"SK[0-9a-f]{32}",
    "vault": r"hvs\.[\w-]{94}",
}
"""Whose keys have which shape; the more telling shapes first."""


def vendor(text: str) -> str | None:
    """Whose key it is."""
    return next((name for name, shape in VENDORS.items() if re.fullmatch(shape, text)), None)


def _api_key(text: str) -> bool:
    if re.match("gh[posu]_", text):
        return _github(text)
    return vendor(text) is not None


def _github(text: str) -> bool:
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = 0
    for char in text[-6:]:
        number = number * 62 + letters.index(char)
    return number == zlib.crc32(text[4:-6].encode())


CHECKERS: Mapping[str, Callable[[str], bool]] = {
    "email": _email,
    "phone": _phone,
    "credit_card": _card,
    "iban": _iban,
    "us_ssn": _ssn,
    "uk_nino": _nino,
    "es_nif": _nif,
    "it_codice_fiscale": _codice_fiscale,
    "fr_nir": _nir,
    "de_steuer_id": _steuer_id,
    "br_cpf": _cpf,
    "in_aadhaar": _aadhaar,
    "in_pan": _pan,
    "ip": _ip,
    "mac": _mac,
    "url_credentials": lambda text: all(text.partition(":")),
    "crypto_wallet": _wallet,
    "date_of_birth": _date,
    "api_key": _api_key,
    "jwt": _jwt,
    "private_key": _private_key,
    "connection_password": lambda text: len(text) > 1,
}
