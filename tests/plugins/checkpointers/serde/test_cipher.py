"""Values that LangGraph's `EncryptedSerializer` wrote."""

from __future__ import annotations

import json
import sys

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from lgx import ThreadError, UsageError
from lgx_plugins.checkpointers.serde import Document, decode, environment_key, names

KEY = b"0123456789abcdef"
VALUE = {"messages": [HumanMessage("jane", id="1")]}


@pytest.fixture(scope="module")
def encrypting() -> EncryptedSerializer:
    """With the key of these tests."""
    return EncryptedSerializer.from_pycryptodome_aes(key=KEY)


@pytest.fixture(scope="module")
def encrypted(encrypting: EncryptedSerializer) -> tuple[str, bytes]:
    """What it makes of a message."""
    return encrypting.dumps_typed(VALUE)


def test_an_encrypted_value_is_read_with_its_key(encrypted: tuple[str, bytes]) -> None:
    """As if it were none."""
    kind, blob = encrypted

    assert kind == "msgpack+aes"
    assert json.loads(decode(kind, blob, KEY))["messages"][0]["content"] == "jane"
    assert names(kind, blob, KEY) == {("langchain_core.messages.human", "HumanMessage")}


@pytest.mark.parametrize("size", [16, 24, 32])
def test_keys_of_every_size_fit(size: int) -> None:
    """The three that AES has."""
    key = b"k" * size
    kind, blob = EncryptedSerializer.from_pycryptodome_aes(key=key).dumps_typed(b"secret")

    assert kind == "bytes+aes"
    assert decode(kind, blob, key) == b'{"__lgx__":"bytes","value":"c2VjcmV0"}'


def test_what_is_replaced_is_encrypted_again(
    encrypting: EncryptedSerializer, encrypted: tuple[str, bytes]
) -> None:
    """LangGraph reads it with the same key; unchanged bytes stay the same, nonce included."""
    kind, blob = encrypted
    document = Document.parse(kind, blob, KEY)
    changes = {text: "mary" for text in document.strings() if text.value == "jane"}

    changed = document.replaced(changes)

    assert encrypting.loads_typed((kind, changed)) == {"messages": [HumanMessage("mary", id="1")]}
    assert b"mary" not in changed
    assert changed[:16] != blob[:16]
    assert document.replaced({}) is blob
    assert document.encoded(document.to_json()) == (kind, blob)


def test_what_is_encoded_is_encrypted_again(
    encrypting: EncryptedSerializer, encrypted: tuple[str, bytes]
) -> None:
    """So a change leaves nothing in the clear."""
    document = Document.parse(*encrypted, KEY)

    kind, blob = document.encoded(document.to_json().replace(b"jane", b"mary"))

    assert kind == "msgpack+aes"
    assert blob is not None
    assert encrypting.loads_typed((kind, blob)) == {"messages": [HumanMessage("mary", id="1")]}


def test_no_key_and_wrong_keys_are_told(encrypted: tuple[str, bytes]) -> None:
    """Never the key itself."""
    kind, blob = encrypted
    tampered = blob[:40] + bytes((blob[40] ^ 1,)) + blob[41:]

    with pytest.raises(ThreadError, match="a value is encrypted; set LANGGRAPH_AES_KEY"):
        decode(kind, blob)
    for key, data in ((b"f" * 16, blob), (KEY, tampered)):
        with pytest.raises(
            ThreadError, match=r"with another key .* or was changed since"
        ) as raised:
            decode(kind, data, key)
        assert key.decode() not in str(raised.value)
    with pytest.raises(ThreadError, match="in 31 bytes, fewer than its nonce and tag"):
        decode(kind, blob[:31], KEY)
    with pytest.raises(ThreadError, match="encrypted by 'rot13', and lgx reads only 'aes'"):
        decode("msgpack+rot13", blob, KEY)
    with pytest.raises(UsageError, match="has 3 bytes, and AES takes 16, 24 or 32"):
        decode(kind, blob, b"abc")


def test_without_the_package_the_error_says_how_to_get_it(
    encrypted: tuple[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an extra that few need."""
    monkeypatch.setitem(sys.modules, "Crypto.Cipher", None)

    with pytest.raises(UsageError, match="run: pip install pycryptodome"):
        decode(*encrypted, KEY)


def test_the_key_is_the_one_that_langgraph_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same variable, with the same lengths."""
    monkeypatch.delenv("LANGGRAPH_AES_KEY", raising=False)
    assert environment_key() is None
    monkeypatch.setenv("LANGGRAPH_AES_KEY", KEY.decode())
    assert environment_key() == KEY
    monkeypatch.setenv("LANGGRAPH_AES_KEY", "short")
    with pytest.raises(UsageError, match="has 5 bytes, and AES takes"):
        environment_key()
