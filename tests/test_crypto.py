import copy
import hashlib
import json
import math
import pickle
import pprint
import random
import re
import string
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.views.debug import ExceptionReporter
from hypothesis import given
from hypothesis import strategies as st

from access_tokens import crypto
from access_tokens.crypto import BASE62, Secret, generate_secret, is_well_formed
from access_tokens.models import Token

from .golden import GOLDEN_SECRETS, Golden

PREFIXES = ["pat", "a", "acme_prod", "x23456789_123456789x"]
SECRET = GOLDEN_SECRETS[0]["secret"]
SAMPLE_SIZE = 2000

# Any string, including the lone surrogates that ``st.text()`` excludes by default.
any_text = st.text(st.characters(exclude_categories=()))

golden = pytest.mark.parametrize("golden", GOLDEN_SECRETS, ids=lambda golden: golden["partial"])
prefixes = pytest.mark.parametrize("prefix", PREFIXES)


@pytest.fixture(scope="module")
def sample() -> list[Secret]:
    return [generate_secret("pat") for _ in range(SAMPLE_SIZE)]


def random_part(secret: str) -> str:
    return secret[-46:-6]


# Generating


@prefixes
def test_secret_is_prefix_then_40_random_then_6_of_the_checksum(prefix: str) -> None:
    assert re.fullmatch(rf"{prefix}_[0-9A-Za-z]{{46}}", generate_secret(prefix), re.ASCII)


@prefixes
def test_generated_secret_is_well_formed(prefix: str) -> None:
    assert is_well_formed(generate_secret(prefix))


def test_digits_are_in_the_order_of_ascii() -> None:
    assert sorted(string.digits + string.ascii_letters) == list(BASE62)


def test_random_part_has_238_bits() -> None:
    assert math.floor(crypto.RANDOM_LENGTH * math.log2(len(set(BASE62)))) == 238


def test_checksum_has_room_for_32_bits() -> None:
    assert len(BASE62) ** crypto.CHECKSUM_LENGTH >= 2**32


def test_secrets_do_not_repeat(sample: list[Secret]) -> None:
    assert len(set(map(random_part, sample))) == SAMPLE_SIZE


def test_every_position_takes_every_character(sample: list[Secret]) -> None:
    # A character is missing at any of the positions with p < 1e-10.
    assert all(set(column) == set(BASE62) for column in zip(*map(random_part, sample), strict=True))


def test_characters_are_equally_frequent(sample: list[Secret]) -> None:
    counts = Counter("".join(map(random_part, sample)))
    expected = SAMPLE_SIZE * crypto.RANDOM_LENGTH / len(BASE62)
    chi_square = sum((counts[c] - expected) ** 2 / expected for c in BASE62)
    # With 61 degrees of freedom, the value exceeds 170 with p < 1e-11.
    assert chi_square < 170


def test_seed_does_not_determine_the_secret() -> None:
    secrets = set()
    for _ in range(2):
        random.seed(1)
        secrets.add(generate_secret("pat"))
    assert len(secrets) == 2


# Checking the format


def changed_in_one_character(secret: str) -> Iterator[str]:
    for i, old in enumerate(secret):
        for new in BASE62 + "_":
            if new != old:
                yield secret[:i] + new + secret[i + 1 :]


def swapped_neighbours(secret: str) -> Iterator[str]:
    for i in range(len(secret) - 1):
        if secret[i] != secret[i + 1]:
            yield secret[:i] + secret[i + 1] + secret[i] + secret[i + 2 :]


def with_one_character_less(secret: str) -> Iterator[str]:
    for i in range(len(secret)):
        yield secret[:i] + secret[i + 1 :]


def with_one_character_more(secret: str) -> Iterator[str]:
    for i in range(len(secret) + 1):
        for new in BASE62 + "_ \n":
            yield secret[:i] + new + secret[i:]


@golden
@pytest.mark.parametrize(
    "mistyped",
    [
        changed_in_one_character,
        swapped_neighbours,
        with_one_character_less,
        with_one_character_more,
    ],
    ids=lambda function: function.__name__,
)
def test_mistyped_secret_is_not_well_formed(
    golden: Golden, mistyped: Callable[[str], Iterator[str]]
) -> None:
    assert not [text for text in mistyped(golden["secret"]) if is_well_formed(text)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pat",
        "pat_",
        SECRET.upper(),
        SECRET.lower(),
        SECRET + "\n",
        " " + SECRET,
        SECRET + "\0",
        SECRET * 2,
        SECRET.removeprefix("pat"),
        SECRET.removeprefix("pat_"),
        SECRET.replace("pat", "Pat"),
        SECRET.replace("pat", "1at"),
        SECRET.replace("pat", "p" * 21),
        # Full-width letters and digits, which str.isalnum() and int() accept.
        SECRET[:-1] + "\uff15",
        SECRET.replace("pat", "\uff50at"),
        SECRET.replace("_", "\uff3f"),
        SECRET[:-1] + "\udcff",
        "pat_" + 46 * "0",
        "pat_" + 46 * "é",
        "a" * 1024 * 1024,
    ],
    ids=lambda text: ascii(text[:70]),
)
def test_other_text_is_not_well_formed(text: str) -> None:
    assert is_well_formed(text) is False


@pytest.mark.parametrize(
    "body",
    [
        "pat_" + 39 * "0",
        "pat_" + 41 * "0",
        "pat_" + 40 * "0" + "\n",
        "pat_" + 39 * "0" + "é",
        "pat_" + 39 * "0" + "-",
        "Pat_" + 40 * "0",
        "_" + 40 * "0",
        40 * "0",
        "p" * 21 + "_" + 40 * "0",
        "pat_" + 80 * "0",
    ],
    ids=ascii,
)
def test_wrong_format_with_a_right_checksum_is_not_well_formed(body: str) -> None:
    assert not is_well_formed(body + crypto._checksum(body))


@given(any_text)
def test_arbitrary_text_is_not_well_formed(text: str) -> None:
    assert is_well_formed(text) is False


@given(any_text, st.integers(0, len(SECRET)), st.integers(0, len(SECRET)))
def test_secret_with_a_replaced_part_is_not_well_formed(text: str, start: int, end: int) -> None:
    mixed = SECRET[:start] + text + SECRET[end:]

    assert is_well_formed(mixed) is (mixed == SECRET)


@given(st.from_regex(crypto.PREFIX_PATTERN, fullmatch=True))
def test_every_valid_prefix_makes_well_formed_secrets(prefix: str) -> None:
    assert is_well_formed(generate_secret(prefix))


@pytest.mark.parametrize(
    ("body", "checksum"),
    # 0xCBF43926 is the check value in the catalogue of CRCs.
    [("123456789", "3jZRME"), ("", "000000"), ("pat_" + 40 * "0", "1WrtcS")],
)
def test_checksum_is_crc32_in_base62(body: str, checksum: str) -> None:
    assert crypto._checksum(body) == checksum


# Digest


def test_digest_is_the_algorithm_and_the_sha256_of_the_secret() -> None:
    # The test vector of FIPS 180-2.
    assert crypto.digest_secret("abc") == (
        "sha256$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


@golden
def test_golden_secret_keeps_its_digest(golden: Golden) -> None:
    assert is_well_formed(golden["secret"])
    assert crypto.digest_secret(golden["secret"]) == golden["digest"]
    assert golden["digest"] == f"sha256${hashlib.sha256(golden['secret'].encode()).hexdigest()}"


def test_digest_does_not_depend_on_the_secret_key(settings: Any) -> None:
    digest = crypto.digest_secret(SECRET)
    settings.SECRET_KEY = "another"

    assert crypto.digest_secret(SECRET) == digest


# Displaying


@golden
def test_partial_is_the_prefix_and_4_characters_of_each_end(golden: Golden) -> None:
    secret = golden["secret"]
    prefix = secret[:-47]

    assert crypto.partial(secret) == golden["partial"]
    assert golden["partial"] == f"{prefix}_{secret[-46:-42]}…{secret[-4:]}"


def test_partial_of_the_longest_prefix_fits_the_column() -> None:
    column = Token._meta.get_field("partial")

    assert column.max_length is not None
    assert len(crypto.partial(generate_secret("p" * 20))) <= column.max_length


def test_secret_is_the_string_that_a_client_sends() -> None:
    secret = Secret(SECRET)

    assert secret == SECRET
    assert f"{secret}|{secret:s}|" + "%s" % secret == f"{SECRET}|{SECRET}|{SECRET}"  # noqa: UP031
    assert json.loads(json.dumps(secret)) == SECRET


@pytest.mark.parametrize(
    "show",
    [
        repr,
        ascii,
        pprint.pformat,
        lambda secret: f"{secret!r}",
        lambda secret: "%r" % secret,  # noqa: UP031
        lambda secret: str([secret]),
        lambda secret: str({"secret": (secret,)}),
        lambda secret: str(ValueError(secret, 1)),
        lambda secret: pprint.pformat({"secret": [secret] * 20}),
        lambda secret: repr(copy.deepcopy(secret)),
        lambda secret: repr(pickle.loads(pickle.dumps(secret))),  # noqa: S301
    ],
)
def test_secret_is_masked(show: Callable[[Secret], str]) -> None:
    shown = show(Secret(SECRET))

    assert SECRET[8:-4] not in shown
    assert "<Secret pat_GSY3" in shown


def fail_with_a_local_variable() -> None:
    secret = Secret(SECRET)
    raise RuntimeError(len(secret))


def test_secret_is_masked_in_error_reports() -> None:
    try:
        fail_with_a_local_variable()
    except RuntimeError as error:
        shown = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )
        reporter = ExceptionReporter(None, *sys.exc_info())
        shown += reporter.get_traceback_html() + reporter.get_traceback_text()

    assert shown.count("Secret pat_GSY3") >= 2
    assert SECRET[8:-4] not in shown
