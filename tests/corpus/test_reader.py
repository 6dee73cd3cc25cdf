"""The corpus is the one that was frozen, and says of itself what is so."""

from __future__ import annotations

import html
import ipaddress
import itertools
import quopri
import re
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path
from urllib.parse import unquote_plus

import pytest

from . import checkers, reader

PLANTED = reader.planted()
CLEAN = reader.clean()
SPANS = [(item, span) for item in PLANTED for span in item.spans]

LARGE = ("email", "phone", "credit_card", "iban")
LANGUAGES = {"ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "pl", "pt", "ru", "tr", "zh"}
EXACT = {"api_key", "connection_password", "crypto_wallet", "jwt", "url_credentials"}


def undone(form: str, surface: str) -> str:
    """What a value says once the form in which it was written is undone."""
    escapes = {"json": 1, "json-escaped": 1, "json-in-string": 2, "json-in-json-in-string": 3}
    for _ in range(escapes.get(form, 0)):
        surface = re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), surface)
        surface = re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), surface)
    if form == "url-encoded":
        surface = unquote_plus(surface)
    elif form == "html-entity":
        surface = html.unescape(surface)
    elif form == "quoted-printable":
        surface = quopri.decodestring(surface.encode()).decode()
    elif form == "escaped-newlines":
        surface = surface.replace("\\n", "\n")
    elif form == "zero-width":
        surface = surface.replace("\u200b", "")
    elif form == "obfuscated":
        surface = re.sub(r" ?[\[(]?\b(at|AT)\b[\])]? ?", "@", surface)
        surface = re.sub(r" ?\[?\b(dot|DOT)\b\]? ?", ".", surface).replace("[.]", ".")
    surface = unicodedata.normalize("NFKC", surface)
    return "".join(str(unicodedata.digit(char)) if char.isdigit() else char for char in surface)


def same(entity: str, written: str, value: str) -> bool:
    if entity in EXACT:
        return written == value
    if entity == "email":
        return written.lower() == value
    if entity == "phone":  # national or international: the subscriber's digits are at the end
        digits = re.sub(r"\D", "", written)
        return len(digits) >= 7 and digits[-6:] == value[-6:]
    if entity == "ip":
        return ipaddress.ip_address(written) == ipaddress.ip_address(value)
    if entity == "date_of_birth":
        year, month, day = value.split("-")
        numbers = [int(number) for number in re.findall(r"\d+", written)]
        return (
            {int(year), int(day)} <= set(numbers)
            and (int(month) in numbers or len(numbers) == 2)  # or the month has its name
        )
    if entity == "private_key":
        return "".join(written.split()) == value
    folded = (re.sub(r"[\W_]", "", text).upper() for text in (written, value))
    return len(set(folded)) == 1


def test_the_files_are_the_frozen_ones() -> None:
    """Whatever is to change becomes a version of its own, in a folder of its own."""
    assert reader.intact()


def test_the_readme_counts_right() -> None:
    readme = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
    sorts = {item.sort for item in CLEAN}
    entities = len(reader.ENTITIES)
    assert f"{len(PLANTED)} texts with {len(SPANS)} marked values of {entities} ent" in readme
    assert f"{len(CLEAN)} texts with nothing to find, of {len(sorts)} sorts" in readme


def test_ids_and_texts_are_there_once() -> None:
    ids = [item.id for item in PLANTED] + [item.id for item in CLEAN]
    texts = [item.text for item in PLANTED] + [item.text for item in CLEAN]
    assert len(set(ids)) == len(ids)
    assert len(set(texts)) == len(texts)


def test_every_entity_is_planted_as_often_as_promised() -> None:
    """Sixty texts at least of the large ones, twenty-five of each other; in how many is fixed."""
    texts = Counter(entity for item in PLANTED for entity in {span.entity for span in item.spans})
    assert set(texts) == set(reader.ENTITIES)
    assert {entity: n for entity, n in texts.items() if n < (60 if entity in LARGE else 25)} == {}
    assert len(CLEAN) >= 600


def test_the_large_ones_come_in_every_language_and_most_forms() -> None:
    languages, forms = defaultdict(set), defaultdict(set)
    for item, span in SPANS:
        languages[span.entity].add(item.lang)
        forms[span.entity].add(item.form)
    assert [entity for entity in LARGE if LANGUAGES - languages[entity]] == []
    assert {item.lang for item in CLEAN} == LANGUAGES
    assert {entity for entity in LARGE if len(forms[entity]) < 15} == set()
    assert {entity for entity in reader.ENTITIES if len(forms[entity]) < 8} == set()


def test_spans_are_in_order_and_in_their_text() -> None:
    for item in PLANTED:
        assert item.spans
        for span in item.spans:
            assert 0 <= span.outer_start <= span.start < span.end <= span.outer_end
            assert span.outer_end <= len(item.text)
        for first, second in itertools.pairwise(item.spans):
            assert first.outer_end <= second.outer_start


@pytest.mark.parametrize("entity", reader.ENTITIES)
def test_every_span_holds_the_value_it_says(entity: str) -> None:
    """Once its form is undone: escapes, digits of other scripts, breaks of lines."""
    mismatched = [
        (item.id, item.text[span.start : span.end], span.value)
        for item, span in SPANS
        if span.entity == entity
        and not same(entity, undone(item.form, item.text[span.start : span.end]), span.value)
    ]
    assert mismatched == []


@pytest.mark.parametrize("entity", reader.ENTITIES)
def test_every_value_is_one_of_its_entity(entity: str) -> None:
    """By its check digits, where it has some."""
    check = checkers.CHECKERS[entity]
    refused = [
        (item.id, span.value)
        for item, span in SPANS
        if span.entity == entity and not check(span.value)
    ]
    assert refused == []


@pytest.mark.parametrize("entity", reader.ENTITIES)
def test_checkers_refuse_what_is_close_to_a_value(entity: str) -> None:
    """Those that know a check digit see any single digit that was changed."""
    proved = {"credit_card", "iban", "es_nif", "fr_nir", "de_steuer_id", "br_cpf", "in_aadhaar"}
    check = checkers.CHECKERS[entity]
    for _, span in SPANS:
        if span.entity == entity in proved:
            at = max(i for i, char in enumerate(span.value) if char.isdigit())
            for other in set("0123456789") - {span.value[at]}:
                assert not check(span.value[:at] + other + span.value[at + 1 :])
    assert not check("")


def test_keys_are_of_many_vendors() -> None:
    found = {checkers.vendor(span.value) for _, span in SPANS if span.entity == "api_key"}
    assert found == set(checkers.VENDORS)


def test_wallets_are_of_every_kind() -> None:
    kinds = Counter(
        re.match("0x|bc1[qp]|[13]", span.value.lower())[0]  # type: ignore[index]
        for _, span in SPANS
        if span.entity == "crypto_wallet"
    )
    assert set(kinds) == {"0x", "bc1q", "bc1p", "1", "3"}


def proved(text: str) -> list[tuple[str, int, int]]:
    """Values in a text that prove themselves by a check digit or an unmistakable shape."""
    shapes = (
        (
            "email",
            r"(?<![\w@/%])[\w.+'-]+@(?!github\.com:|gitlab\.com:)[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}",
        ),
        ("credit_card", r"(?<![\w.-])[3-6]\d{3}(?:[ -]?\d{4}){3}(?![\w-])"),
        ("iban", r"(?<!\w)[A-Za-z]{2}\d{2}(?: ?\w{4}){2,7}(?: ?\w{1,3})?(?!\w)"),
        ("it_codice_fiscale", r"(?<!\w)[A-Za-z]{6}\d\d[A-Za-z]\d\d[A-Za-z]\d{3}[A-Za-z](?!\w)"),
        ("es_nif", r"(?<!\w)[XYZ\d]\d{7}[A-Z](?!\w)"),
        ("br_cpf", r"(?<!\w)\d{3}\.\d{3}\.\d{3}-\d\d(?!\w)"),
        ("crypto_wallet", r"(?<!\w)(?:bc1\w{39,59}|[13]\w{25,34}|0x[0-9a-fA-F]{40})(?!\w)"),
        ("us_ssn", r"(?<![\w-])\d{3}-\d\d-\d{4}(?![\w-])"),
        ("uk_nino", r"(?<!\w)[A-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D](?!\w)"),
        ("jwt", r"eyJ[\w-]{10,}\.eyJ[\w-]+\.[\w-]{20,}"),
        ("api_key", r"(?<![\w.-])(?:gh[posu]_|hf_|npm_|gsk_|AKIA|AIza)\w{16,}(?!\w)"),
    )
    found = []
    for entity, shape in shapes:
        for match in re.finditer(shape, text, re.ASCII):
            value = match[0].lower() if entity == "email" else match[0]
            if entity not in EXACT | {"email"}:
                value = re.sub(r"[\W_]", "", value).upper()
            try:
                if checkers.CHECKERS[entity](value):
                    found.append((entity, *match.span()))
            except (KeyError, ValueError):
                continue
    return found


def test_nothing_that_proves_itself_is_planted_without_a_mark() -> None:
    unmarked = [
        (item.id, entity, item.text[start:end])
        for item in PLANTED
        for entity, start, end in proved(item.text)
        if not any(s.outer_start < end and start < s.outer_end for s in item.spans)
    ]
    assert unmarked == []


def test_what_proves_itself_is_seen_in_planted_texts() -> None:
    """So that its absence from clean ones says something."""
    seen = {entity for item in PLANTED for entity, _, _ in proved(item.text)}
    assert len(seen) == 11


def test_nothing_in_clean_texts_proves_itself() -> None:
    held = [
        (item.id, entity, item.text[start:end])
        for item in CLEAN
        for entity, start, end in proved(item.text)
    ]
    assert held == []


@pytest.mark.parametrize(
    ("sort", "entity", "shape"),
    [
        ("failed-card", "credit_card", r"[45]\d{3}(?:[ -]?\d{4}){3}"),
        ("failed-iban", "iban", r"[A-Z]{2}\d\d[A-Z0-9 ]{11,40}(?<! )"),
        ("failed-cpf", "br_cpf", r"\d{3}\.\d{3}\.\d{3}-\d\d"),
        ("failed-dni", "es_nif", r"\d{8}[A-Z]"),
        ("failed-steuer-id", "de_steuer_id", r"\d{11}"),
        ("failed-aadhaar", "in_aadhaar", r"\d{4} \d{4} \d{4}"),
        ("failed-nir", "fr_nir", r"[12] \d\d \d\d [\dAB]{2} \d{3} \d{3} \d\d"),
        ("failed-codice-fiscale", "it_codice_fiscale", r"[A-Z]{6}\d\d[A-Z]\d\d[A-Z]\d{3}[A-Z]"),
        ("failed-wallet", "crypto_wallet", r"(?:0x|bc1|1)\w{25,62}"),
    ],
)
def test_look_alikes_fail_their_check(sort: str, entity: str, shape: str) -> None:
    """They have the shape of a value, and a check digit that is wrong."""
    texts = [item.text for item in CLEAN if item.sort == sort]
    assert len(texts) >= 8
    for text in texts:
        [found] = re.findall(shape, text)
        value = found if entity == "crypto_wallet" else re.sub(r"[ .-]", "", found)
        assert not checkers.CHECKERS[entity](value)


def test_machine_made_ids_are_many_and_always_the_same() -> None:
    first = list(itertools.islice(reader.machine_made(), 12_000))
    assert first == list(reader.machine_made(12_000))
    assert first != list(reader.machine_made(12_000, seed=2))
    assert len(set(first)) > 11_500
    assert [text for text in first if checkers.CHECKERS["credit_card"](text)] == []


@pytest.mark.nightly
def test_all_machine_made_ids_are_no_cards() -> None:
    made = list(reader.machine_made())
    assert len(made) == 200_000
    assert [text for text in made if checkers.CHECKERS["credit_card"](text)] == []


def test_no_file_holds_a_secret_in_one_piece() -> None:
    """A code host's scanner would take it for a real one, and refuse the push."""
    files = "".join(
        path.read_text(encoding="utf-8")
        for path in (reader._HERE).rglob("*")
        if path.is_file() and path.suffix in {".ndjson", ".py", ".md"}
    )
    secret = ("api_key", "jwt", "private_key", "url_credentials")
    held = [item.id for item, span in SPANS if span.entity in secret and span.value in files]
    assert held == []
    assert re.findall(r"BEGIN [A-Z ]*PRIV" + "ATE KEY", files) == []
