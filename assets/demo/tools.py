"""Tools: definitions, and the requests that need one of them with the arguments of the right call."""

import re

import words as w
from asking import NAMED
from families import B, FAMILIES, I, N, S, SUMS
from recall import cap, pseudo
from toolkit import ACTIONS, FLAGS, KINDS, OTHERS, THINGS, WRITTEN
from values import VALUES, number_word, plain_word, unseen

KEYS = sorted({n for k in KINDS.values() for n in k.names})

def spell(r, parts):
    """A name in one of the usual spellings."""
    k = r.random()
    parts = [p for x in parts for p in x.replace("-", " ").split()]
    if k < 0.68:
        return "_".join(parts)
    if k < 0.84:
        return parts[0] + "".join(cap(p) for p in parts[1:])
    if k < 0.9:
        return "".join(cap(p) for p in parts)
    if k < 0.95:
        return "-".join(parts)
    return ".".join(parts)


def odd_key(r):
    """A parameter's name that says nothing: it can only be read from the definition."""
    return r.choice([lambda: plain_word(r), lambda: f"{plain_word(r)}_{plain_word(r)}", lambda: r.choice(KEYS), lambda: pseudo(r)])()


def said(r, kind, value):
    """How a request states a value of this kind; the value as it must come out."""
    frame = r.choice(kind.frames)
    if kind.type == "integer" and value <= 12 and r.random() < 0.06:
        return frame.replace("{}", number_word(value))
    return frame.replace("{}", str(value))


A = "array"
SENTENCES = ["{}", "{}", "{}", "{}", "{}", "{}.", "{}.", "{} Needs a login.", "{} Returns JSON.", "{} (beta)", "Tool: {}", "Function. {}", "{} Ask if something is missing.", "{} Use it only when the user wants it.", "{} May take some seconds.", "{} See the manual of the device.", "{} Works offline."]
NOTES = ["{}, required", "{} as the user says it", "{}.", "the {}", "{} (see above)", "Give the {} here", "Must be set: {}", "{} to use"]


def described_as(r, text):
    """A description in one of the forms that people give it."""
    text = text.rstrip(".")
    first = text.split(" ")[0]
    if text and r.random() < 0.2:
        low = text[0].lower() + text[1:]
        if first.endswith("s") and first[0].isupper() and not first.endswith("ss") and first.lower()[:-1] in ACTIONS:
            return r.choice(["This tool {}.", "A tool that {}", "This function {}."]).format(low)
        if first.lower() in ACTIONS:
            return r.choice(["Use this to {}.", "Call this when the user wants to {}", "Lets the user {}.", "Helps to {}.", "Can {}."]).format(low)
    return r.choice(SENTENCES).format(text if r.random() < 0.5 else text + ".").replace("..", ".")


def in_words(text):
    """A description as a request: 'Makes a backup of a host.' -> 'make a backup of a host'."""
    first, _, rest = text.rstrip(".").partition(" ")
    first = first.lower()
    base = next((x for x in (first[:-1], first[:-2], first[:-3] + "y") if first.endswith("s") and (x in ACTIONS or x in w.VERB)), first)
    return f"{base} {rest}".strip()


class Tool:
    """A tool: name, schema, params (name, type, value generator, required), and how to ask for it (ask)."""

    def __init__(self, r, name, text, params, required=None):
        """params: (name, type, description, value generator, values of an enum or None, required)."""
        self.name, self.params = name, params
        described = r.random() < 0.75
        properties = {}
        for n, kind, note, _, enum, _ in params:
            properties[n] = {"type": N if kind == I and r.random() < 0.06 else kind}
            if kind == A:
                properties[n]["items"] = {"type": S}
            if enum and (r.random() < 0.8):
                properties[n]["enum"] = enum
            if described and note:
                properties[n]["description"] = note if r.random() < 0.8 else r.choice(NOTES).format(note.rstrip("."))
            if r.random() < 0.1:
                properties[n] = dict(reversed(properties[n].items()))
        f = {"name": name, "description": described_as(r, text)}
        if not text or r.random() < 0.05:
            del f["description"]
        f["parameters"] = {"type": "object", "properties": properties}
        needed = [n for n, *_, must in params if must]
        if any(not must for *_, must in params) or r.random() < 0.85:
            f["parameters"]["required"] = needed
        if r.random() < 0.06:
            f["parameters"]["additionalProperties"] = False
        self.schema = {"type": "function", "function": f}

    def requests_seen(self, r):
        """A few ways to ask for this tool."""
        return [self.ask(r)[0] for _ in range(2)]

    def unseen(self, r, values, share):
        """Some of the free strings replaced by words that nobody has seen."""
        return {n: unseen(r) if n in values and kind == S and not enum and r.random() < share else values[n]
                for n, kind, _, _, enum, _ in self.params if n in values}


class Written(Tool):
    """A tool with hand-written requests that name the parameters by position: {0}, {1}; what one of them leaves out is optional."""

    bare = 0.14     # share of requests that are by_name

    def __init__(self, r, family):
        names, texts, kinds, requests = family
        self.requests = requests
        self.stated = [set(map(int, re.findall(r"{(\d)}", q))) for q in requests]
        params, seen, self.frames = [], set(), []
        for i, k in enumerate(kinds):
            self.frames.append(k[1].frames if len(k) == 2 else ["{}"])
            if len(k) == 4:
                n, kind, note, value = r.choice(k[0]), k[1], k[2], k[3]
                enum = value.options if hasattr(value, "options") and len(value.options) < 7 else None
            else:
                own, k = k
                n, kind, note, value, enum = own or r.choice(k.names), k.type, r.choice(k.texts or [""]), k.value, k.enum if k.closed else None
            if r.random() < 0.15:
                n = odd_key(r)
            n = n if n not in seen else f"{n}{i + 1}"
            seen.add(n)
            params.append((n, kind, note, value, enum, all(i in s for s in self.stated)))
        name, text = r.choice(names), r.choice(texts)
        self.plainly = [re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower().replace("_", " ")] * 2 + [in_words(text)]
        k = r.random()
        if k < 0.08:
            name = opaque(r)
        elif k < 0.3:
            name = spell(r, re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower().replace("_", " ").split())
        elif k < 0.34:
            text = ""
        super().__init__(r, name, text, params)

    def by_name(self, r, strange):
        """A request that says no more than what the tool is called or described as, and the values."""
        given = [j for j, p in enumerate(self.params) if p[5] or r.random() < 0.5]
        values = self.unseen(r, {self.params[j][0]: self.params[j][3](r) for j in given}, strange)
        alike = sum(self.params[j][1] == S for j in given) > 1
        parts = []
        for j in given:
            n, v = self.params[j][0], values[self.params[j][0]]
            if isinstance(v, bool) or (alike and self.frames[j] == ["{}"]) or r.random() < 0.2:
                parts.append(r.choice([", {n} {v}", ", {n}: {v}", " with {n} {v}", ", the {n} is {v}", ", {n}={v}"]).format(n=n.replace("_", " "), v=str(v).lower() if isinstance(v, bool) else v))
            else:
                part = r.choice(self.frames[j]).replace("{}", str(v))
                parts.append(part if part[0] in ",:" else r.choice([" ", " ", ", ", ": "] if len(part) == len(str(v)) else [" "]) + part.strip())
        q = r.choice(self.plainly)
        if r.random() < 0.3:
            q = r.choice(["please ", "can you ", "I need this: ", "could you ", "I want: ", "do ", "use ", "help me with "]) + q
        return q + "".join(parts), values

    def ask(self, r, strange=0.0):
        if r.random() < self.bare:
            return self.by_name(r, strange)
        i = r.randrange(len(self.requests))
        values = {n: value(r) for j, (n, _, _, value, _, _) in enumerate(self.params) if j in self.stated[i]}
        values = self.unseen(r, values, strange)
        shown = []
        for j, (n, kind, _, _, enum, _) in enumerate(self.params):
            v = values.get(n)
            shown.append(("on" if v else "off") if isinstance(v, bool) else v)
            if j in self.stated[i] and kind == S and not enum and r.random() < 0.08:    # what kind of thing it is may stand before it, and is no part of it
                shown[j] = f"{r.choice([n.replace('_', ' '), n.replace('_', ' '), 'the ' + n.replace('_', ' '), r.choice(NAMED)])} {shown[j]}"
            if j in self.stated[i] and kind == S and not enum and r.random() < 0.06:    # nor are quotation marks
                shown[j] = shown[j].replace(str(v), r.choice(['"{}"', '"{}"', "'{}'"]).format(v))
        return self.requests[i].strip().format(*shown), values


class Composed(Tool):
    """A tool put together from a verb, a noun and kinds of parameters that go with it.

    strange: share of those whose words nobody knows together, so that only their likeness can tell which tool is meant.
    sibling: the request must say both verb and noun, as other tools offered share one of them."""

    def __init__(self, r, noun=None, verb=None, strange=0.12, sibling=False):
        self.sibling = sibling
        noun = noun or r.choice(list(THINGS))
        kinds, verbs = THINGS[noun]
        if not verb:
            verb = r.choice(list(ACTIONS) if r.random() < 0.1 else verbs)
        texts, self.verbs = ACTIONS[verb]
        self.nouns = [noun, noun, *OTHERS.get(noun, [])]
        if not sibling and r.random() < strange:
            noun = r.choice([pseudo(r), r.choice(w.OBJECT + w.NOUN + w.ANIMAL), f"{r.choice(w.ADJ)} {r.choice(w.OBJECT + w.NOUN)}", f"{r.choice(w.NOUN)} {r.choice(w.OBJECT + w.NOUN)}"])
            self.nouns = [noun]
            if r.random() < 0.5:
                verb = r.choice([pseudo(r), r.choice(RARE)])
                texts, self.verbs = [cap(verb), cap(verb) + "s"], [verb]
        if r.random() < (0.5 if not sibling else 0.3):
            self.verbs = [verb]
        if r.random() < 0.4:
            self.nouns = [noun]
        if r.random() < 0.05:
            kinds = kinds + r.sample(list(KINDS), 2)
        picked = r.sample(kinds, min(len(kinds), r.choice([0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4])))
        params, seen = [], set()
        self.kinds = {}
        for k in picked:
            if k in ("on", "flag") or r.random() < 0.04:
                n, note, yes, no = r.choice(FLAGS)
                if k == "on":
                    n, note, yes, no = r.choice(["on", "enabled", "power", "active"]), "true for on, false for off", "on", "off"
                kind = (yes, no)
                entry = (n, B, note, VALUES["switch"], None)
            else:
                kind = KINDS[k]
                n = r.choice(kind.names) if r.random() < 0.8 else r.choice([odd_key(r), odd_key(r), f"{r.choice(kind.names)}_{r.choice(['value', 'name', 'arg', 'field'])}", f"{noun.split()[0]}_{r.choice(kind.names)}"])
                if r.random() < 0.08:
                    n = spell(r, [noun, n])
                entry = (n, kind.type, r.choice(kind.texts) if kind.texts else "", kind.value, kind.enum if kind.closed or (kind.enum and r.random() < 0.3) else None)
            if n in seen:
                continue
            seen.add(n)
            self.kinds[n] = kind
            params.append(entry)
        optional = r.random() < 0.35
        params = [(*p, not (optional and r.random() < 0.5)) for p in params]
        plural = noun + "s" if verb in ("list", "search", "find", "count") and r.random() < 0.6 else noun
        k = r.random()
        name = spell(r, [verb, plural] if k < 0.8 else [noun, verb] if k < 0.92 else [verb])
        hidden = r.random()
        if hidden < 0.14:       # the name says nothing
            name = opaque(r)
        text = r.choice(texts) + " " + r.choice(["a", "the", "a", "the", "one"] if plural == noun else ["the", "all", "some"]) + " " + plural + r.choice(["", "", ".", ".", " for the user.", " of the user"])
        if len(params) and r.random() < 0.15:
            text = text.rstrip(".") + r.choice([" by ", " with ", " given its "]) + " and ".join(n.replace("_", " ") for n, *_ in params[:2]) + "."
        if 0.14 < hidden < 0.24 and k < 0.92:      # the description says nothing
            text = r.choice(["", "Does what it says.", "Internal.", "No description", "One of the tools of the house."])
        super().__init__(r, name, text, params)

    def ask(self, r, strange=0.0):
        given = [p for p in self.params if p[5] or r.random() < 0.55]
        values = {n: value(r) for n, _, _, value, _, _ in given}
        values = self.unseen(r, values, strange)
        parts = []
        for n, v in values.items():
            k = self.kinds[n]
            if isinstance(v, list):
                parts.append(r.choice([" with {}", ": {}", " for {}", ", namely {}"]).format(", ".join(v[:-1]) + r.choice([" and ", ", "]) + v[-1]))
            elif isinstance(k, tuple):
                parts.append(" " + k[0 if v else 1])
            elif r.random() < 0.18:
                parts.append(r.choice([", {n} {v}", " with {n} {v}", ", {n}: {v}", ", {n}={v}", " and {n} {v}", ", the {n} is {v}"]).format(n=n.replace("_", " "), v=v))
            else:
                text = said(r, k, v)
                parts.append(text if text[0] in ",:" else " " + text.strip())
        order = list(parts)
        if r.random() < 0.4:
            r.shuffle(order)
        verb = r.choice(self.verbs)
        noun = r.choice(self.nouns) + ("s" if r.random() < 0.1 else "")
        art = r.choice(["the", "the", "a", "my", "", "our", "this", "that"])
        core = f"{verb} {art} {noun}".replace("  ", " ")
        text = core + "".join(order)
        k = r.random()
        if k < 0.12 and parts and parts[0][0] not in ",:" and not self.sibling:
            text = f"{noun}{''.join(order)}"
        elif k < 0.35:
            text = r.choice(["can you ", "could you ", "please ", "I want to ", "I'd like to ", "I need to ", "would you ", "help me to ", "let's ", "you should ", "we have to ", "time to ", "go and ", "do me a favour and ", "somebody has to ", "I have to ", "can I ", "may I ask you to ", "it would be nice to ", "why don't you ", "I was told to ", "my boss wants me to ", "is it possible to ", "how about this: ", "we'd better ", "I would be glad if you could "]) + text
        elif k < 0.4 and parts and parts[-1][0] == " ":
            text = r.choice(["", "okay, ", "so "]) + order[0].strip(" ,:") + r.choice([", ", ": "]) + core + "".join(order[1:])
        return text.replace(" ,", ","), values


RARE = [v for v in w.VERB if len(v) > 3 and v not in ACTIONS]


def opaque(r):
    """A name that says nothing: which tool it is, its description tells."""
    return r.choice([lambda: f"tool_{r.randint(1, 20)}", lambda: f"fn{r.randint(1, 9)}", lambda: pseudo(r), lambda: pseudo(r) + "_" + pseudo(r), lambda: f"action_{r.choice('abcdef')}", lambda: f"{r.choice(w.OBJECT)}_{r.randint(1, 99)}",
                     lambda: r.choice(w.CODEWORD), lambda: f"{r.choice(['api', 'svc', 'mod', 'x', 'do'])}_{pseudo(r)}", lambda: f"{r.choice(w.ANIMAL)}.{r.choice(w.COLOR)}"])()


USUAL = 0.22    # share of the tools of families.py among the hand-written


def draw(r, usual=USUAL):
    """Any tool; usual: that share."""
    if r.random() < 0.4:
        return Composed(r)
    return Written(r, r.choice(FAMILIES + SUMS * 4 if r.random() < usual else WRITTEN))


def siblings(r, n):
    """n tools that share the noun, or the verb: the other word decides."""
    verbs = r.sample(list(ACTIONS), len(ACTIONS))
    said, chosen = set(), []
    for v in verbs:
        if not said & {x.split()[0] for x in ACTIONS[v][1]}:
            said |= {x.split()[0] for x in ACTIONS[v][1]}
            chosen.append(v)
    if r.random() < 0.5:
        noun = r.choice(list(THINGS))
        return [Composed(r, noun, v, sibling=True) for v in chosen[:n]]
    out, words_ = [], set()
    for noun in r.sample(list(THINGS), len(THINGS)):
        own = {x for y in [noun, *OTHERS.get(noun, [])] for x in y.split()}
        if not own & words_ and len(out) < n:
            words_ |= own
            out.append(Composed(r, noun, chosen[0], sibling=True))
    return out


def draw_set(r, n, near=0.25, usual=USUAL):
    """n tools with different names; `near` is the share of sets in which some are alike, `usual` as in draw()."""
    out, names = [], set()
    for t in siblings(r, r.randint(2, min(n, 4))) if n > 1 and r.random() < near else []:
        if t.name not in names:
            names.add(t.name)
            out.append(t)
    while len(out) < n:
        t = draw(r, usual)
        if t.name not in names and (r.random() < 0.5 or t.name.lower().split("_")[-1] not in {x.lower().split("_")[-1] for x in names}):
            names.add(t.name)
            out.append(t)
    return r.sample(out, n)
