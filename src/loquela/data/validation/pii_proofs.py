"""Checksums and ranges that tell personal numbers from other numbers of the same shape."""

from __future__ import annotations

import ipaddress
import re

DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
# Lengths of IBANs by country (ISO 13616 registry: the SEPA area and the larger users outside it).
IBAN_LENGTHS = dict(
    AD=24, AE=23, AL=28, AT=20, AZ=28, BA=20, BE=16, BG=22, BH=22, BR=29, CH=21, CR=22, CY=28, CZ=24, DE=22, DK=18,
    DO=28, EE=20, ES=24, FI=18, FO=18, FR=27, GB=22, GE=22, GI=23, GL=18, GR=27, GT=28, HR=21, HU=28, IE=22, IL=23,
    IS=26, IT=27, JO=30, KW=30, KZ=20, LB=28, LI=21, LT=20, LU=20, LV=21, MC=27, MD=24, ME=22, MK=19, MT=31, NL=18,
    NO=15, PK=24, PL=28, PS=29, PT=25, QA=29, RO=24, RS=22, SA=24, SE=24, SI=19, SK=24, SM=27, TN=24, TR=26, UA=29,
    VG=24, XK=20,
)  # fmt: skip
CARD_LENGTHS = range(13, 20)
_VERSION_BEFORE = re.compile(
    r"(?i)(?:\b(?:version|versión|versione|ver|v|release|build|section|sección|rev)\.?\s*|[=~^])$"
)


def digits_of(text: str) -> str:
    """The ASCII digits of `text`."""
    return "".join(sign for sign in text if sign in "0123456789")


def is_card(number: str) -> bool:
    """Luhn's checksum (ISO/IEC 7812-1) and a first digit that card schemes use."""
    digits = [int(sign) for sign in digits_of(number)]
    if len(digits) not in CARD_LENGTHS or digits[0] not in (2, 3, 4, 5, 6) or len(set(digits)) == 1:
        return False
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """The country's length, and the number modulo 97 (ISO 13616)."""
    compact = text.replace(" ", "").replace("-", "").upper()
    if IBAN_LENGTHS.get(compact[:2]) != len(compact):
        return False
    return int("".join(str(int(sign, 36)) for sign in compact[4:] + compact[:4])) % 97 == 1


def is_dni(text: str) -> bool:
    """A Spanish DNI or NIE with the right letter (its number modulo 23)."""
    compact = re.sub(r"[.\-\s]", "", text).upper()
    number = compact[:-1].translate(str.maketrans("XYZ", "012"))
    return number.isdigit() and len(number) == 8 and DNI_LETTERS[int(number) % 23] == compact[-1]


def is_ssn(text: str) -> bool:
    """A US social security number outside the ranges that are never issued."""
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def is_ip(text: str, before: str) -> bool:
    """An IP address, of whatever range; not a version number, told by the word in `before` (the text ahead of it)."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.version == 4:
        return not _VERSION_BEFORE.search(before)
    # `a::b` is also C++; an address has a number and a full group.
    groups = [group for group in text.split(":") if group]
    return len(groups) >= 2 and any(len(group) >= 3 for group in groups) and any(map(str.isdigit, text))
