# Makes character_tables.cpp: python make_character_tables.py >character_tables.cpp, with the `regex` of tests/env/main.txt.
import sys

import regex

LAST = 0x10FFFF


def ranges(accept):
    found, first = [], None
    for code in range(LAST + 2):
        inside = code <= LAST and not 0xD800 <= code <= 0xDFFF and accept(chr(code))
        if inside and first is None:
            first = code
        if not inside and first is not None:
            found.append((first, code - 1))
            first = None
    return found


def category(name):
    return ranges(lambda c, one=regex.compile(rf"\p{{{name}}}"): one.match(c) is not None)


# What str.lower() of a sigma tells about its neighbour.
def is_cased(c):
    return (c + "Σ").lower().endswith("ς")


def is_ignorable(c):
    return not is_cased(c) and ("a" + c + "Σ").lower().endswith("ς")


def lower_runs():
    """(first, last, step, distance) of characters that have a lower case of one character."""
    runs = []
    for code in range(LAST + 1):
        if 0xD800 <= code <= 0xDFFF or len(chr(code).lower()) != 1 or chr(code).lower() == chr(code):
            continue
        distance = ord(chr(code).lower()) - code
        if chr(code) == "Σ":
            distance = ord("σ") - code
        if runs and runs[-1][3] == distance and code - runs[-1][1] in (1, 2) and \
                (runs[-1][0] == runs[-1][1] or runs[-1][2] == code - runs[-1][1]):
            runs[-1] = (runs[-1][0], code, code - runs[-1][1], distance)
        else:
            runs.append((code, code, 1, distance))
    return runs


def write(kind, name, rows):
    print(f"\nconstexpr {kind} k{name.capitalize()}[] = {{")
    line = "   "
    for row in rows:
        text = " {" + ", ".join(f"{number:#x}" if i < 2 else str(number) for i, number in enumerate(row)) + "},"
        if len(line + text) > 118:
            print(line)
            line = "   "
        line += text
    print(line + f"\n}};\nconst std::span<const {kind}> {name}(k{name.capitalize()});")


print(f"// Made by make_character_tables.py: the categories of regex {regex.__version__} for Python, lower case by Python "
      f"{sys.version_info[0]}.{sys.version_info[1]}.")
print('#include "host/metric/characters.h"\n\nnamespace trainhost::metric::tables {\n\n// clang-format off')
write("Range", "punctuation", category("P"))
write("Range", "symbols", category("S"))
write("Range", "numbers", category("N"))
write("Range", "cased", ranges(is_cased))
write("Range", "ignorable", ranges(is_ignorable))
write("LowerRun", "lower", lower_runs())
print("// clang-format on\n\n}  // namespace trainhost::metric::tables")
