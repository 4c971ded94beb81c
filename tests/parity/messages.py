# What differs between an error of Python's and of Lua's, in a line: the kind, the text where it is LibTorch's own, and
# what the argument parser's names.
import re

# The kinds of Lua's and the words by which PyTorch's text tells of them; where there are none it is "usage". The first
# that is found is the kind.
WORDS = {
    "memory": r"not enough memory|out of memory|can't allocate memory",
    "device": r"same device|device type|\bCUDA\b|not compiled with",
    "dtype": r"dtype|scalar type|data type",
    "shape": r"shape|(?<!re)size|[Dd]imension|\belements\b|\b[1-4]D\b|\b1-D\b",
    "internal": r"INTERNAL ASSERT",
}
# Part of a text -> the kind that Lua's error has all the same, and why.
OTHER_KINDS = {
    "cannot resize variables that require grad": ("shape", "it is about a tensor's size, if not one that is wrong"),
}
# The parser's types and the word that Lua's message has for each.
TYPES = {
    "Tensor": "Tensor", "int": "integer", "float": "number", "Number": "number", "bool": "boolean", "str": "string",
    "torch.dtype": "dtype", "torch.layout": "layout", "torch.memory_format": "memory_format", "torch.device": "device",
    "torch.Generator": "Generator", "tuple of ints": "integer", "tuple of floats": "numbers", "tuple of bools": "booleans",
    "tuple of Scalars": "numbers", "tuple of Tensors": "list of Tensors", "tuple of strs": "strings",
}


def plain(text):
    """A message without what the two languages spell differently."""
    text = re.sub(r"\s+", " ", text.strip().lower())
    text = re.sub(r"\b(none|nil)\b", "nil", text)
    text = re.sub(r"['\"`]", "", text)
    text = text.replace("tuple", "table").replace("list", "table").replace("(", "{").replace(")", "}")
    text = text.replace("[", "{").replace("]", "}").replace("torch.size", "")
    return re.sub(r"\s+", " ", text).rstrip(".")


def is_of_pytorch(error, args):
    """Is the error PyTorch's own, and one that Lua has? Python's speaks of its own classes; and a float of integer
    value is an integer where Lua calls for one (28 / 2 is 14.0)."""
    text = str(error)
    if isinstance(error, AttributeError) or any(part in text for part in (
            "descriptor '", "unsupported operand type", "failed to match any schema")):
        return False
    return not (isinstance(error, TypeError) and any(isinstance(x, float) and x.is_integer() for x in args))


def kind_of(error):
    """The kind of Lua's that an error of Python's is."""
    text = str(error)
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, TypeError):
        return "usage"
    if other := next((kind for part, (kind, _) in OTHER_KINDS.items() if part in text), None):
        return other
    return next((kind for kind, words in WORDS.items() if re.search(words, text)), "usage")


def listed(text):
    """The signatures that a message lists."""
    return {re.sub(r"\s+", "", line) for line in re.findall(r"^\s*\* (\(.*\))$", text, re.M)}


def parser_difference(message, ours):
    """What our message lacks of one of the argument parser's; None: nothing."""
    if found := re.search(r"argument '(\w+)' \(position (\d+)\) must be ([\w. ]+), not ", message):
        name, position, kind = found.groups()
        return of_argument(name, kind, ours)
    if found := re.search(r"argument '(\w+)' must be ([\w. ]+), not ", message):
        return of_argument(*found.groups(), ours)
    if found := re.search(r"missing \d+ required positional arguments?: \"?'?(\w+)", message):
        return lacking(ours, f"missing argument '{found[1]}'", f"'{found[1]}'")
    if "received an invalid combination of arguments" in message:
        if listed(message) != listed(ours):
            return "the signatures listed are others"
        return lacking(ours, "received an invalid combination of arguments", "got (")
    if found := re.search(r"expected (\w+) as element (\d+) in argument (\d+)", message):
        place = f"at [{int(found[2]) + 1}]"
        return None if f"tuple of {found[1]}s" in ours else lacking(ours, found[1], place)
    return "the text"


def of_argument(name, kind, ours):
    if kind not in TYPES:
        return f"a word for the type {kind}"
    return lacking(ours, f"'{name}'", TYPES[kind])


def lacking(ours, *parts):
    return next((f"{part!r} is not named" for part in parts if part.lower() not in ours.lower()), None)


def compare_error(error, result):
    message = str(error)
    theirs = f"{type(error).__name__}: {message.splitlines()[0] if message else '':.200}"
    if result.error is None:
        return f"expected the error {theirs}"
    if result.kind != kind_of(error):
        return f"expected the error {theirs} | got the kind {result.kind!r}: {result.error:.200}"
    if result.type not in ("", type(error).__name__):
        return f"expected the error {theirs} | got the type {result.type!r}: {result.error:.200}"
    if message and plain(message) in plain(result.error):
        return None
    lack = parser_difference(message, result.error) if isinstance(error, TypeError) else "the text"
    return lack and f"expected the error {theirs} | got: {result.error:.200} | {lack}"
