"""Writes unicode_tables.inc: the code points at which the class of unicode.h changes.

    python3 unicode_tables.py > unicode_tables.inc

Each number is (first code point << 2 | class); the class holds up to the next entry.
Classes: 0 other, 1 letter (general category L*), 2 number (N*), 3 white space (White_Space).
The committed file was made with Python 3.11, whose unicodedata is version 14.0.0.
"""

import unicodedata

# The property White_Space, which unicodedata does not have: str.isspace() without U+001C..U+001F.
NOT_WHITE_SPACE = range(0x1C, 0x20)


def char_class(code_point):
    char = chr(code_point)
    if char.isspace() and code_point not in NOT_WHITE_SPACE:
        return 3
    return {"L": 1, "N": 2}.get(unicodedata.category(char)[0], 0)


def main():
    print(f"// Made by unicode_tables.py from Unicode {unicodedata.unidata_version}. Do not edit.")
    previous, line = None, ""
    for code_point in range(0x110000):
        kind = char_class(code_point)
        if kind == previous:
            continue
        previous = kind
        item = f"0x{code_point << 2 | kind:x},"
        if len(line) + len(item) > 118:
            print(line)
            line = ""
        line += item
    print(line)


main()
