# The report of a parity run: what differs, grouped by cause, for whoever mends it.
import collections
import re

CALL = re.compile(r"^\s*(X\.seed\(\)|return X\.with_gradients.*|end\)|)$")


def cause(outcome):
    """What failures of the same kind have in common."""
    text = outcome.wrong
    for sign, group in (("the process ended", "the process ended"), ("invalid combination of", "no signature takes it"),
                        ("has no", None), ("expected the error", None),
                        ("strides", "other strides"), ("requires_grad", "other requires_grad"),
                        ("greatest difference", "other values")):
        if sign in text:
            if sign == "expected the error":
                return "another error text" if "| got: " in text else "no error"
            return group or "missing: " + re.sub(r"^.*error: |; did you.*", "", text)[:90]
    if re.search(r"expected torch\.\w+ \(.*got torch", text):
        return "other dtype or shape"
    if text.startswith("error: "):
        text = re.sub(r"(torch|Tensor)(\.\w+)+:", "F:", text.split("\n")[0])
        return re.sub(r"-?\d[\d.e+-]*", "N", text)[:100]
    return re.sub(r"\d+", "N", text)[:60]


def write(report, path, title):
    """Groups by cause, then by operator, a case of each kind with its Lua call."""
    groups = collections.defaultdict(list)
    for outcome in report.outcomes:
        if outcome.wrong:
            groups[cause(outcome)].append(outcome)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    lines = [title, "", "X.tensor(offset, bytes, dtype, shape[, strides, offset]) is an input.", ""]
    for name, found in ordered:
        operators = sorted({outcome.operator for outcome in found})
        lines.append(f"{len(found):6d} cases {len(operators):4d} operators  {name}: {', '.join(operators[:6])}")
    for name, found in ordered:
        lines += ["", f"== {name} ({len(found)} cases)"]
        lines += operators_of(name, found)
    lines += ["", "== not run: no Lua form"]
    lines += [f"{count:5d} {reason}" for reason, count in report.untranslatable.most_common()]
    lines += ["", "== not run: dropped"]
    for reason, count in drops(report).most_common():
        operators = sorted({operator for (why, operator) in report.dropped if why == reason})
        lines.append(f"{count:5d} {reason}: {', '.join(operators[:12])}{' ...' if len(operators) > 12 else ''}")
    path.write_text("\n".join(lines) + "\n")


def drops(report):
    """How many cases were dropped for each reason."""
    counts = collections.Counter()
    for (reason, _), count in report.dropped.items():
        counts[reason] += count
    return counts


def operators_of(name, found):
    by_operator, lines = collections.defaultdict(list), []
    for outcome in found:
        by_operator[outcome.operator].append(outcome)
    for operator, outcomes in sorted(by_operator.items()):
        if name.startswith("missing"):
            lines.append(f"{operator} ({len(outcomes)} cases)")
            continue
        seen = set()
        for outcome in outcomes:
            kind = re.sub(r"\d+", "N", outcome.wrong)[:160]
            if kind in seen or len(seen) == 8:
                continue
            seen.add(kind)
            lines += [f"{operator} ({len(outcomes)}): {outcome.name}", f"    {outcome.wrong[:420]}"]
            calls = [line.strip() for line in outcome.lua.split("\n") if not CALL.match(line)]
            lines += [f"      {call[:260]}" for call in calls[-8:]]
    return lines
