"""Writes split_cases.txt: random texts and where the `glm4` rule cuts them, found with the `regex` module.

    python3 split_cases.py

Two fields a case: the text; the lengths of its pieces in bytes. Drawn from code points of Unicode 14.0, since newer
versions give a class to what is unassigned there. Every byte of broken UTF-8 counts as one U+FFFD.
"""

import random
import unicodedata

import regex

from fields import write_fields

RULE = regex.compile(
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

SPACES = [chr(c) for c in range(0x110000) if regex.match(r"\s", chr(c))]
SPICE = [
    "'s", "'S", "'t", "'T", "'re", "'rE", "'RE", "'ve", "'VE", "'m", "'ll", "'lL", "'LL", "'d", "'D", "'l", "'r", "'v",
    "'\u017f", "'\u017fs", "\u017f", "''s", " 's", "'", "\u2019s", " ", "  ", "    ", "\t", "\n", "\r", "\r\n", "\n\n", "\u0085",
    "\u00a0", "\u2028", "\u2029", "\u3000", "\u200b", "\ufeff", "\u0301", "e\u0301", "\u0915\u094d\u0937", "1", "12", "123", "1234", "\u0663", "\u096a",
    "\u00bd", "\u2163", "\u4e00", "\u6f22\u5b57", "\u304b\u306a", "\U0001f642", "\U0001f44d\U0001f3fd", "\U0001f468\u200d\U0001f469", ".", "...", ";", "!?", "(", ")", "//",
    "/*", "_", "a", "B", "word", "Straße", "été", "привет", "\ufffd", "\x00", "\x1c", "\x1f", "\x7f", "<|user|>", "<think>",
]
BROKEN = [b"\x80", b"\xbf", b"\xc0\xaf", b"\xc3", b"\xe3\x83", b"\xe3", b"\xed\xa0\x80", b"\xf0\x9f\x99", b"\xf0\x9f",
          b"\xf4\x90\x80\x80", b"\xff", b"\xfe", b"\xe0\x80\x80", b"\xf8\x88\x80\x80\x80"]


def assigned():
    """Code points to draw from, by general category: both Unicode versions agree on their class."""
    groups = {}
    for c in range(0x110000):
        category = unicodedata.category(chr(c))
        if category not in ("Cn", "Cs"):
            assert bool(regex.match(r"\p{L}", chr(c))) == (category[0] == "L"), hex(c)
            assert bool(regex.match(r"\p{N}", chr(c))) == (category[0] == "N"), hex(c)
            groups.setdefault(category, []).append(chr(c))
    return groups


def pieces(data):
    """Byte lengths of the pieces of `data`."""
    units, at = [], 0                        # (character, length in bytes)
    while at < len(data):
        for length in (1, 2, 3, 4):
            try:
                units.append((data[at:at + length].decode(), length))
                break
            except UnicodeDecodeError:
                pass
        else:
            units.append(("\ufffd", 1))
            length = 1
        at += length
    out = []
    for match in RULE.finditer("".join(c for c, _ in units)):
        out.append(sum(n for _, n in units[match.start():match.end()]))
    assert sum(out) == len(data)
    return out


def main():
    rng = random.Random(20)
    groups = assigned()
    names = sorted(groups)
    cases = [b""]
    for group in names:                      # every category, bare and among neighbours
        for _ in range(6):
            c = rng.choice(groups[group])
            cases.append(f"{c}{c} {c}a{c}1{c}\n{c}  {c}'{c}".encode())
    for space in SPACES:
        for _ in range(12):
            parts = rng.choices([space, space, " ", "\n", "\r", "a", "1", ".", "'s"], k=rng.randint(2, 10))
            cases.append("".join(parts).encode())
    for _ in range(3500):
        style = rng.random()
        parts = []
        for _ in range(rng.randint(1, 12)):
            roll = rng.random()
            if roll < 0.6:
                parts.append(rng.choice(SPICE).encode())
            elif roll < 0.8:
                parts.append(rng.choice(SPACES).encode() * rng.choice((1, 1, 2, 3)))
            elif roll < 0.9 or style > 0.3:
                parts.append(rng.choice(groups[rng.choice(names)]).encode())
            else:
                parts.append(rng.choice(BROKEN))
        cases.append(b"".join(parts))
    for _ in range(300):                     # bytes with no order in them
        cases.append(bytes(rng.choice((rng.randrange(256), rng.choice(b"a1 '\n"))) for _ in range(rng.randint(1, 20))))
    fields = []
    for case in cases:
        fields += [case, " ".join(map(str, pieces(case)))]
    write_fields("split_cases.txt", fields)


if __name__ == "__main__":
    main()
