"""Facts planted in filler text, and questions about them: the generator that teaches reading back from the context."""

import random
import re
import string
from pathlib import Path

import words as w

VOWELS, CONSONANTS = "aeiou", "bcdfghjklmnprstvwz"


BLENDED = [x for x in w.FIRST + w.LAST + w.PLACE + w.NOUN + w.OBJECT + w.ANIMAL + w.FOOD + w.LANGUAGE + w.ADJ + w.VERB if x.isalpha() and len(x) > 3]


def pseudo(r):
    """A word that does not exist; some begin like one word and end like another, so that a copy cannot be guessed."""
    if r.random() < 0.3:
        a, b = r.choice(BLENDED), r.choice(BLENDED)
        return (a[:r.randint(2, 5)] + b[-r.randint(2, 5):]).lower()
    s = "".join(r.choice(CONSONANTS) + r.choice(VOWELS) + r.choice(["", "", "n", "r", "l", "s", "x", "th", "m"])
                for _ in range(r.choice([1, 2, 2, 2, 3])))
    return s


def code(r):
    """A number, a mixed code, or a code word."""
    k = r.random()
    if k < 0.42:
        return "".join(r.choice(string.digits) for _ in range(r.choice([2, 3, 4, 4, 4, 5, 6, 6, 8])))
    if k < 0.54:
        return "-".join("".join(r.choice(string.ascii_uppercase + string.digits) for _ in range(r.choice([2, 3, 4])))
                        for _ in range(r.choice([1, 2, 2, 3])))
    if k < 0.62:
        return "".join(r.choice(string.ascii_lowercase + string.digits) for _ in range(r.choice([4, 5, 6, 8])))
    if k < 0.68:
        return r.choice(w.CODEWORD).capitalize() + r.choice("-_ #") + str(r.randint(1, 999))
    if k < 0.84:
        return r.choice(w.CODEWORD + w.NOUN + w.ANIMAL)
    if k < 0.92:
        return r.choice(w.CODEWORD).upper() if r.random() < 0.5 else " ".join(r.sample(w.CODEWORD, 2))
    return pseudo(r)


def number(r):
    k = r.random()
    if k < 0.5:
        return str(r.randint(2, 99))
    if k < 0.8:
        return str(r.randint(100, 9999))
    if k < 0.9:
        return f"{r.randint(1, 999)}.{r.randint(1, 99)}"
    return f"{r.randint(1, 999)},{r.randint(100, 999)}"


def time(r):
    return r.choice([f"{r.randint(0, 23)}:{r.choice(['00', '15', '30', '45', str(r.randint(10, 59))])}",
                     f"{r.randint(1, 12)} {r.choice(['am', 'pm', 'a.m.', 'p.m.'])}", "noon", "midnight"])


def date(r):
    return r.choice([f"{r.randint(1, 28)} {r.choice(w.MONTH)}", f"{r.choice(w.MONTH)} {r.randint(1, 28)}",
                     f"{r.choice(w.MONTH)} {r.randint(1, 28)}, {r.randint(1900, 2040)}", r.choice(w.DAY),
                     f"{r.randint(1990, 2035)}-{r.randint(1, 12):02}-{r.randint(1, 28):02}"])


def person(r):
    k = r.random()
    if k < 0.45:
        return r.choice(w.FIRST)
    if k < 0.75:
        return r.choice(w.FIRST) + " " + r.choice(w.LAST)
    if k < 0.88:
        return r.choice(["Dr.", "Dr.", "Mr.", "Mrs.", "Ms.", "Prof.", "St.", "Professor", "Captain"]) + " " + (r.choice(w.LAST) if r.random() < 0.6 else cap(pseudo(r)))
    return pseudo(r).capitalize()


def place(r):
    return r.choice(w.PLACE) if r.random() < 0.8 else pseudo(r).capitalize()


def thing(r):
    """A noun phrase without article: blue cabinet, main warehouse door, Falcon project."""
    k = r.random()
    noun = r.choice(w.OBJECT + w.NOUN + w.ANIMAL)
    if k < 0.5:
        return f"{r.choice(w.COLOR + w.ADJ)} {noun}"
    if k < 0.65:
        return noun
    if k < 0.75:
        return f"{r.choice(w.ADJ + w.COLOR)} {r.choice(w.OBJECT)} {r.choice(w.OBJECT)}"
    if k < 0.85:
        return f"{r.choice(w.CODEWORD).capitalize()} {r.choice(['project', 'team', 'station', 'server', 'device', 'lab', 'ship', 'office', 'account', noun])}"
    if k < 0.93:
        return f"{noun} in {place(r)}"
    return f"{pseudo(r)} {r.choice(w.OBJECT)}"


# attribute -> kind of value
ATTRIBUTES = {
    "access code": code, "password": code, "passcode": code, "PIN": code, "pin code": code, "secret word": code,
    "code word": code, "code name": code, "password hint": code, "serial number": code, "door code": code,
    "entry code": code, "security code": code, "launch code": code, "wifi password": code, "combination": code,
    "lock combination": code, "key phrase": code, "passphrase": code, "magic number": number, "secret number": number,
    "secret code": code, "order number": code, "ticket number": code, "invoice number": code, "account number": code,
    "room number": number, "phone number": code, "model number": code, "part number": code, "reference number": code,
    "tracking number": code, "badge number": code, "license plate": code, "call sign": code, "version": number,
    "price": number, "weight": number, "height": number, "length": number, "speed": number, "temperature": number,
    "capacity": number, "limit": number, "maximum speed": number, "port": number, "port number": number,
    "total cost": number, "budget": number, "score": number, "age": number, "population": number, "id": code,
    "identifier": code, "token": code, "name": person, "owner": person, "author": person, "captain": person,
    "director": person, "manager": person, "inventor": person, "founder": person, "designer": person, "winner": person,
    "leader": person, "contact person": person, "maintainer": person, "colour": lambda r: r.choice(w.COLOR),
    "color": lambda r: r.choice(w.COLOR), "capital": place, "location": place, "destination": place, "home town": place,
    "headquarters": place, "deadline": date, "release date": date, "birthday": date, "opening date": date,
    "departure time": time, "start time": time, "closing time": time, "material": lambda r: r.choice(w.MATERIAL),
    "main ingredient": lambda r: r.choice(w.FOOD), "mascot": lambda r: r.choice(w.ANIMAL), "motto": code, "symbol": code,
    "nickname": code, "official language": lambda r: r.choice(w.LANGUAGE), "default value": number, "timeout": number,
}


class Fact:
    """text as planted; questions to it; answer, which contains value; key, words that must be unique in a document."""

    def __init__(self, text, questions, answer, value, key):
        self.text, self.questions, self.answer, self.value, self.key = text, questions, answer, value, key


def _attribute(r):
    a = r.choice(list(ATTRIBUTES))
    value = ATTRIBUTES[a](r)
    if ATTRIBUTES[a] is number and r.random() < 0.4:
        value += r.choice([" kg", " km", " euros", " dollars", " meters", " degrees", " years", " seconds", " people"])
    k = r.random()
    if k < 0.45:
        t = thing(r)
        prep = r.choice(["for", "of", "of", "to"]) if ATTRIBUTES[a] is code else r.choice(["of", "of", "for"])
        np = f"the {a} {prep} the {t}"
        qs = [f"what is {np}?", f"What's {np}?", f"tell me {np}", f"which {a} does the {t} have?", f"give me {np}.",
              f"do you know {np}?", f"I need {np}.", f"{a} {prep} the {t}?", f"what {a} belongs to the {t}?",
              f"the {t}: what is its {a}?", f"what is the {t}'s {a}?", f"what {a} was given for the {t}?",
              f"what does the text say about {np}?", f"can you find {np}?", f"please look up {np}"]
        key = t
    elif k < 0.6:
        t = thing(r)
        np = f"the {t}'s {a}"
        qs = [f"what is {np}?", f"what is the {a} of the {t}?", f"tell me {np}.", f"which {a} does the {t} have?",
              f"{np}?", f"what's {np}?"]
        key = t
    elif k < 0.72:
        p = person(r)
        np = f"{p}'s {a}"
        qs = [f"what is {np}?", f"what's {np}?", f"tell me {np}", f"do you know {np}?", f"{np}?",
              f"what is the {a} of {p}?"]
        key = p
    else:
        adj = r.choice(["", "", "", "new ", "current ", "final ", "official ", "correct "])
        np = f"the {adj}{a}"
        qs = [f"what is {np}?", f"what's {np}?", f"tell me {np}", f"do you know {np}?", f"{np}?", f"give me {np}",
              f"what {a} was mentioned?", f"which {a} is given in the text?", f"what is the {a}?",
              f"what {a} is mentioned above?", f"find {np} in the text.", f"repeat {np}.", f"what did the text say {np} is?"]
        key = a
    verb = r.choice(["is", "is", "is", "is", "was", "is now", "has been set to", "is set to"])
    answer = f"{np} {verb} {value}."
    return Fact(cap(answer), qs, cap(answer), value, key)


def _favourite(r):
    p = person(r)
    fav = r.choice(["favourite", "favorite"])
    s = r.choice(w.SUBJECT)
    kinds = {"colour": w.COLOR, "color": w.COLOR, "animal": w.ANIMAL, "food": w.FOOD, "city": w.PLACE, "month": w.MONTH,
             "day": w.DAY, "flower": w.PLANTWORD, "tree": w.PLANTWORD, "instrument": w.INSTRUMENT, "hobby": w.HOBBY,
             "sport": w.HOBBY, "language": w.LANGUAGE, "country": w.PLACE, "place": w.PLACE, "fruit": w.FOOD}
    value = number(r) if s == "number" else r.choice(kinds.get(s, w.CODEWORD + w.NOUN))
    answer = f"{p}'s {fav} {s} is {value}."
    fav2 = r.choice([fav, fav, "favourite", "favorite"])
    return Fact(answer, [f"What is {p}'s {fav2} {s}?", f"what's {p}'s {fav2} {s}?", f"Which {s} does {p} like best?",
                         f"which {s} is {p}'s {fav2}?", f"tell me {p}'s {fav2} {s}", f"Do you know {p}'s {fav2} {s}?",
                         f"{p} {fav2} {s}?"], answer, value, p)


def _life(r):
    p = person(r)
    v, value, qs = r.choice([
        lambda: ("lives in", place(r), ["Where does {p} live?", "In which city does {p} live?", "what is {p}'s home?"]),
        lambda: ("was born in", r.choice([str(r.randint(1850, 2015)), place(r)]), ["When was {p} born?", "Where was {p} born?", "{p} was born in what?"]),
        lambda: ("works as a", r.choice(w.JOB), ["What does {p} do for a living?", "What is {p}'s job?", "what does {p} work as?", "what is the profession of {p}?"]),
        lambda: ("works in", place(r), ["Where does {p} work?", "In which place does {p} work?"]),
        lambda: ("plays the", r.choice(w.INSTRUMENT), ["Which instrument does {p} play?", "What does {p} play?"]),
        lambda: ("has a pet " + r.choice(w.ANIMAL) + " named", r.choice(w.FIRST + [c.capitalize() for c in w.CODEWORD]), ["What is the name of {p}'s pet?", "what is {p}'s pet called?", "which pet does {p} have?"]),
        lambda: ("is allergic to", r.choice(w.FOOD), ["What is {p} allergic to?", "Which food can {p} not eat?"]),
        lambda: ("drives a", r.choice(w.COLOR) + " " + r.choice(["car", "truck", "van", "bus", "tractor", "motorbike"]), ["What does {p} drive?", "which car does {p} have?"]),
        lambda: ("is married to", person(r), ["Who is {p} married to?", "Who is the partner of {p}?"]),
        lambda: ("moved to", place(r), ["Where did {p} move?", "To which place did {p} move?"]),
        lambda: ("is afraid of", r.choice(w.ANIMAL) + "s", ["What is {p} afraid of?", "What scares {p}?"]),
        lambda: ("collects", r.choice(w.COLOR) + " " + r.choice(w.OBJECT) + "s", ["What does {p} collect?"]),
        lambda: ("studies", r.choice(w.LANGUAGE + w.NOUN), ["What does {p} study?", "Which subject does {p} study?"]),
        lambda: ("has " + str(r.randint(2, 40)), r.choice(w.OBJECT) + "s", ["How many things does {p} have?", "What does {p} have?"]),
    ])()
    answer = f"{p} {v} {value}."
    return Fact(answer, [q.replace("{p}", p) for q in qs] * 2 + [f"What do you know about {p}?"], answer, value, p)


def _where(r):
    t = thing(r)
    verb = r.choice(["is kept", "is hidden", "is stored", "was left", "was hidden", "is", "can be found", "lies", "is located", "was found", "is buried"])
    value = f"{r.choice(['in', 'under', 'behind', 'near', 'next to', 'above', 'inside', 'beside'])} the {thing(r)}"
    answer = f"the {t} {verb} {value}."
    return Fact(cap(answer), [f"Where is the {t}?", f"Where is the {t} kept?", f"where can I find the {t}?", f"Where was the {t} hidden?",
                              f"where's the {t}", f"In what place is the {t}?", f"I am looking for the {t}. Where is it?"], cap(answer), value, t)


def _event(r):
    t = r.choice(["meeting", "party", "concert", "train", "flight", "exam", "workshop", "lecture", "ceremony", "launch", "game", "festival", "conference", "interview", "ferry", "bus"])
    t = r.choice([f"{r.choice(w.ADJ + w.COLOR)} {t}", f"{t} in {place(r)}", f"{t} with {person(r)}", f"{t} to {place(r)}", t])
    verb, value, qs = r.choice([
        lambda: (r.choice(["starts at", "begins at", "is at", "leaves at"]), time(r), ["When does the {t} start?", "What time is the {t}?", "At what time does the {t} begin?", "When is the {t}?"]),
        lambda: (r.choice(["takes place on", "is on", "was moved to", "is planned for"]), date(r), ["When does the {t} take place?", "On which day is the {t}?", "When is the {t}?", "what is the date of the {t}?"]),
        lambda: (r.choice(["takes place in", "will be held in", "happens in"]), place(r), ["Where does the {t} take place?", "Where will the {t} be held?", "In which city is the {t}?"]),
        lambda: (r.choice(["is led by", "is organised by", "was cancelled by", "will be opened by"]), person(r), ["Who leads the {t}?", "Who organises the {t}?", "Who is in charge of the {t}?"]),
        lambda: ("costs", number(r) + r.choice([" euros", " dollars", " pounds"]), ["How much does the {t} cost?", "What is the price of the {t}?", "what does the {t} cost?"]),
    ])()
    answer = f"the {t} {verb} {value}."
    return Fact(cap(answer), [q.replace("{t}", t) for q in qs], cap(answer), value, t)


def _made(r):
    t, p = thing(r), person(r)
    verb = r.choice(["built", "designed", "painted", "bought", "sold", "found", "repaired", "invented", "wrote", "opened", "stole", "lost", "founded", "discovered", "signed", "delivered"])
    if r.random() < 0.5:
        answer, value = f"{p} {verb} the {t}.", p
        qs = [f"Who {verb} the {t}?", f"who was it that {verb} the {t}?", f"Which person {verb} the {t}?", f"By whom was the {t} {verb}?"]
    elif r.random() < 0.5:
        value = str(r.randint(1700, 2030))
        answer = f"the {t} was {verb} in {value}."
        qs = [f"When was the {t} {verb}?", f"In which year was the {t} {verb}?", f"what year was the {t} {verb}?"]
    else:
        n = r.choice(w.OBJECT + w.ANIMAL) + "s"
        value = str(r.randint(2, 200))
        answer, t = f"{p} {verb} {value} {n}.", p
        qs = [f"How many {n} were {verb} by {p}?", f"How many {n}?", f"how many {n} did {p} get?", f"Who {verb} {n}, and how many?"]
    return Fact(cap(answer), qs, cap(answer), value, t)


def _mine(r):
    """A fact about the user: my becomes your in the answer."""
    s = r.choice(["cat", "dog", "sister", "brother", "boss", "neighbour", "teacher", "doctor", "horse", "parrot", "friend", "daughter", "son", "uncle"])
    if r.random() < 0.5:
        value = r.choice(w.FIRST)
        v = r.choice(["is called", "is named", "has the name"])
        return Fact(f"My {s} {v} {value}.", [f"What is my {s} called?", f"What is the name of my {s}?", f"what's my {s}'s name?", f"who is my {s}?"],
                    f"Your {s} {v} {value}.", value, f"my {s}")
    a = r.choice(list(ATTRIBUTES))
    value = ATTRIBUTES[a](r)
    return Fact(f"My {a} is {value}.", [f"What is my {a}?", f"what's my {a}?", f"tell me my {a}", f"do you remember my {a}?"],
                f"Your {a} is {value}.", value, f"my {a}")


def _setting(r):
    """A line of a settings or code file."""
    name = r.choice(["_".join(r.sample(w.NOUN, 2)), "_".join(r.sample(w.NOUN, 2)).upper(), pseudo(r) + "_" + r.choice(w.NOUN), r.choice(w.NOUN), ".".join(r.sample(w.NOUN, 2)), r.choice(w.NOUN) + r.choice(w.NOUN).capitalize(), "-".join(r.sample(w.NOUN, 2))])
    value = r.choice([code(r).replace(" ", ""), number(r), r.choice(["true", "false"])])
    sep = r.choice([" = ", "=", ": ", " := "])
    text = r.choice(["{n}{s}{v}", "{n}{s}{v}", "const {n}{s}{v};", "export {n}={v}", '"{n}": "{v}",', "let {n}{s}{v};", "--{n} {v}", "#define {n} {v}", "static int {n} = {v};"])
    return Fact(text.format(n=name, s=sep, v=value), [f"What is the value of {name}?", f"what is {name}?", f"What is {name} set to?", f"{name}?", f"which value does {name} have?", f"what does the file set {name} to?"],
                f"The value of {name} is {value}.", value, name)


def _random(r):
    """Words without meaning, so that copying does not lean on meaning."""
    a, b = (" ".join(pseudo(r) for _ in range(r.choice([1, 1, 2]))) for _ in range(2))
    v = r.choice(["is", "means", "belongs to", "equals", "comes from", "was", "likes", "->", ":"])
    art = r.choice(["the ", "", ""])
    answer = f"{art}{a} {v} {b}."
    return Fact(cap(answer), [f"What {v} {art}{a}?" if v in ("is", "was") else f"What about {art}{a}?", f"{a}?", f"what does the text say about {art}{a}?", f"tell me about {art}{a}"], cap(answer), b, a)


def _where_value(r):
    return f"{r.choice(['in', 'under', 'behind', 'near', 'next to', 'above', 'inside', 'beside', 'on top of', 'below', 'between', 'at the back of'])} the {thing(r)}"


def _name(r):
    return r.choice([cap(pseudo(r)), cap(pseudo(r)), r.choice(w.FIRST), r.choice(w.CODEWORD).capitalize(), cap(pseudo(r)) + " " + cap(pseudo(r))])


SLOTS = {"p": person, "t": lambda r: thing(r), "l": place, "n": lambda r: str(r.randint(3, 99)), "o": lambda r: r.choice(w.OBJECT), "x": lambda r: r.choice(w.ANIMAL), "f": lambda r: r.choice(w.FOOD),
         "j": lambda r: r.choice(w.JOB), "s": pseudo, "S": lambda r: cap(pseudo(r))}
ASKED = {"code": code, "where": _where_value, "person": person, "place": place, "number": number, "year": lambda r: str(r.randint(1500, 2035)), "date": date, "time": time, "language": lambda r: r.choice(w.LANGUAGE),
         "job": lambda r: r.choice(w.JOB), "name": _name, "food": lambda r: r.choice(w.FOOD), "phone": lambda r: r.choice([str(r.randint(1000, 999999)), f"{r.randint(100, 999)}-{r.randint(1000, 9999)}", f"0{r.randint(10, 999)} {r.randint(1000, 99999)}"]),
         "color": lambda r: r.choice(w.COLOR), "material": lambda r: r.choice(w.MATERIAL), "animal": lambda r: r.choice(w.ANIMAL), "word": lambda r: r.choice([pseudo(r), r.choice(w.CODEWORD), r.choice(w.NOUN), cap(pseudo(r)), pseudo(r).upper()]),
         "version": lambda r: ".".join(str(r.randint(0, 30)) for _ in range(r.choice([2, 3]))), "path": lambda r: f"/{r.choice(['etc', 'opt', 'srv', 'home', 'var'])}/{pseudo(r)}" + r.choice(["", ".conf", "/config.json", ".toml"]),
         "flag": lambda r: "--" + r.choice([pseudo(r), r.choice(w.NOUN), r.choice(w.ADJ) + "-" + r.choice(w.NOUN)]), "weekday": lambda r: r.choice(w.DAY), "instrument": lambda r: r.choice(w.INSTRUMENT),
         "email": lambda r: f"{r.choice([pseudo(r), r.choice(w.FIRST).lower()])}@{pseudo(r)}.{r.choice(['com', 'org', 'net'])}"}
TEMPLATES = [line.split(" | ") for line in Path(__file__).with_name("facts.txt").read_text(encoding="utf-8").split("\n") if " | " in line]


def template(r, line=None):
    """A fact of facts.txt."""
    text, questions = line or r.choice(TEMPLATES)
    values = {k: SLOTS[k](r) for k in sorted(set(re.findall(r"\{(\w)\}", text)))}
    value = ASKED[re.search(r"<(\w+)>", text).group(1)](r)
    put = lambda x: re.sub(r"\{(\w)\}", lambda m: values[m.group(1)], x)
    text = put(re.sub(r"<\w+>", lambda m: value, text))
    return Fact(cap(text), [put(q.strip()) for q in questions.split(" / ")], cap(text), value, " ".join(values.values()) or text.partition(value)[0].strip())


KINDS = [_attribute] * 7 + [_favourite] * 3 + [_life] * 3 + [_where] * 2 + [_event] * 2 + [_made] * 2 + [_mine] + [_setting] * 2 + [_random] * 2 + [template] * 20


def cap(s):
    return s[:1].upper() + s[1:]


def vary(r, question):
    """The same question as different people type it."""
    q = question
    k = r.random()
    if k < 0.5:
        q = cap(q)
    elif k < 0.65:
        q = q.lower() if r.random() < 0.3 else q
    if r.random() < 0.12:
        q = q.rstrip("?.")
    if r.random() < 0.1:
        q = r.choice(["Please: ", "Question: ", "Quick question: ", "According to the text, ", "Tell me, ", "Now, ", "So, ", "Hey, ", "Based on the text above, ", "From the document: ", "In the text above, "]) + q
    elif r.random() < 0.06:
        q += r.choice([" Answer briefly.", " Please answer.", " Thanks!", " Reply with the answer only.", " Answer in one sentence."])
    return q


def fact(r):
    return r.choice(KINDS)(r)


LEAD = ["", "", "", "", "", "", "Note: ", "Note that ", "Remember: ", "Important: ", "By the way, ", "Remember that ", "Please remember this: ", "For the record, ", "NB: ", "Keep in mind that ", "Fact: ", "- ", "* ", "# ", "// ", "TODO: ", "INFO ", "> "]


def plant(r, f):
    lead = r.choice(LEAD)
    text = f.text
    if lead.endswith(("that ", ", ")) and text.startswith("The "):
        text = "the" + text[3:]
    return lead + text


def fill(r, template):
    """Replace the slots of a prose, README, code or log template."""
    values = {"n": w.NOUN, "N": w.FIRST, "a": w.ADJ, "o": w.OBJECT, "v": w.PAST, "p": w.PLACE, "c": w.COLOR, "d": w.ADVERB,
              "m": w.MONTH, "f": w.FOOD, "j": w.JOB, "t": w.ANIMAL}
    out, i = [], 0
    while i < len(template):
        ch = template[i]
        if ch == "{" and i + 2 < len(template) and template[i + 2] == "}":
            s = template[i + 1]
            if s in values:
                out.append(r.choice(values[s]))
            elif s == "k":
                out.append(str(r.randint(2, 300)))
            elif s == "A":
                out.append(r.choice(w.NOUN).capitalize())
            elif s == "S":
                out.append(pseudo(r).capitalize())
            else:
                out.append(pseudo(r))
            i += 3
        elif template[i:i + 2] in ("{{", "}}"):
            out.append(ch)
            i += 2
        else:
            out.append(ch)
            i += 1
    return "".join(out)


def filler(r, style):
    """One piece (sentence or line) of filler."""
    if style == "prose":
        return fill(r, r.choice(w.PROSE))
    if style == "readme":
        return fill(r, r.choice(w.README if r.random() < 0.7 else w.PROSE))
    if style == "code":
        return fill(r, r.choice(w.CODE))
    if style == "log":
        return fill(r, r.choice(w.LOG))
    if style == "words":
        return " ".join(r.choice(w.NOUN + w.VERB + w.ADJ + w.FUNC + w.OBJECT) for _ in range(r.randint(5, 14))).capitalize() + "."
    return " ".join(pseudo(r) for _ in range(r.randint(4, 10))) + r.choice([".", "", "!", ";"])


STYLES = ["prose"] * 5 + ["readme"] * 2 + ["code"] * 2 + ["log", "words", "words", "pseudo"]


def document(r, vocab, facts, size):
    """Text of about `size` tokens that holds the facts in random places."""
    style = r.choice(STYLES)
    planted = [plant(r, f) for f in facts]
    used = sum(len(vocab.encode(p)) + 1 for p in planted)
    lines = []
    same = filler(r, style) if r.random() < 0.06 else None
    while used < size:
        line = same or filler(r, style if r.random() < 0.9 else r.choice(STYLES))
        used += len(vocab.encode(line)) + 1
        lines.append(line)
    for p in planted:
        lines.insert(r.randint(0, len(lines)), p)
    glue = "\n" if style in ("code", "log", "readme") else r.choice([" ", " ", "\n", "mixed"])
    if glue != "mixed":
        return glue.join(lines)
    return "".join(line + (r.choice([" ", " ", " ", "\n\n"])) for line in lines).strip()


def unique_facts(r, n):
    out, keys = [], set()
    while len(out) < n:
        f = fact(r)
        if f.key not in keys:
            keys.add(f.key)
            out.append(f)
    return out


def siblings(r, n):
    """Facts of one pattern with different keys: the hard distractors."""
    state = r.random()
    if state < 0.5:
        a = r.choice([a for a, k in ATTRIBUTES.items() if k in (code, number, person)])
        out, seen = [], set()
        prep = r.choice(["for", "of"])
        while len(out) < n:
            t = thing(r)
            if t in seen:
                continue
            seen.add(t)
            value = ATTRIBUTES[a](r)
            answer = f"The {a} {prep} the {t} is {value}."
            out.append(Fact(answer, [f"What is the {a} {prep} the {t}?", f"the {a} {prep} the {t}?", f"Which {a} does the {t} have?", f"what's the {t}'s {a}?"], answer, value, t))
        return out
    line = r.choice(TEMPLATES)
    while "{" not in line[0]:
        line = r.choice(TEMPLATES)
    kind = r.choice([_favourite, _life, _where, _random, _setting, _made] + [lambda r: template(r, line)] * 6)
    out, seen = [], set()
    while len(out) < n:
        f = kind(r)
        if f.key not in seen:
            seen.add(f.key)
            out.append(f)
    return out


THOUGHTS = ["The user asks about {k}. The text says: {a}", "I look for {k} in the text. It says: {a}",
            "The question is about {k}. I find it in the text."]
WRAP = ["{d}\n\n{q}", "{d}\n\n{q}", "{d}\n{q}", "{d} {q}", "Here is a text:\n\n{d}\n\n{q}", "Context:\n{d}\n\nQuestion: {q}", "Read this:\n{d}\n\n{q}",
        "<document>\n{d}\n</document>\n{q}", '<file path="{s}.txt">\n{d}\n</file>\n\n{q}', "```\n{d}\n```\n{q}", "{q}\n\n{d}", "Text: {d}\n---\n{q}"]
SYSTEMS = ["You are a helpful assistant.", "You are Keyhole's demo model.", "Answer from the text.", "Be brief.", "Answer the questions of the user.", "You are a helpful assistant. Answer in one sentence."]
READ = ["I have read it.", "OK, I have read the text.", "Understood.", "Thank you, I will remember it."]


def think(r, f):
    return r.choice(THOUGHTS).format(k=f.key, a=f.answer)


def conversation(r, vocab, size, thinking=0.4):
    """A document of up to `size` tokens with questions about its facts, in one of several arrangements."""
    n_ask = max(1, min(12, size // 60 if r.random() < 0.8 else r.randint(1, 3)))
    n_more = r.choice([0, 0, 1, 2, 4])
    facts = siblings(r, n_ask + n_more) if r.random() < 0.35 else unique_facts(r, n_ask + n_more)
    r.shuffle(facts)
    ask = facts[:n_ask]
    room = size - 40 - sum(2 * len(vocab.encode(f.answer)) + 12 for f in ask)
    doc = document(r, vocab, facts, room)
    messages = []
    if r.random() < 0.2:
        messages.append({"role": "system", "content": r.choice(SYSTEMS)})
    k = r.random()
    first = vary(r, r.choice(ask[0].questions))
    if k < 0.75:
        content = r.choice(WRAP).replace("{s}", pseudo(r)).replace("{q}", first).replace("{d}", doc)
        messages.append({"role": "user", "content": content})
    elif k < 0.87:
        messages.insert(0, {"role": "system", "content": r.choice(["", "Context:\n", "Use this text.\n\n"]) + doc})
        messages.append({"role": "user", "content": first})
    else:
        messages += [{"role": "user", "content": r.choice(["", "Please remember this text.\n\n", "Read this.\n"]) + doc},
                     {"role": "assistant", "content": r.choice(READ), "given": r.random() < 0.8}, {"role": "user", "content": first}]
    for i, f in enumerate(ask):
        if i:
            messages.append({"role": "user", "content": vary(r, r.choice(f.questions))})
        messages.append({"role": "assistant", "content": f.answer})
    if r.random() < thinking:
        messages[-1]["reasoning_content"] = think(r, ask[-1])
    return {"messages": messages}


def repeat(r, vocab, size):
    """Say it back: strings of random words, one or more times."""
    messages = []
    used = 10
    while used < size - 30:
        k = r.random()
        n = r.randint(3, 12)
        if k < 0.3:
            text = " ".join(r.choice(w.NOUN + w.VERB + w.ADJ + w.CODEWORD + w.FIRST) for _ in range(n))
        elif k < 0.5:
            text = " ".join(pseudo(r) for _ in range(n))
        elif k < 0.7:
            text = vocab.decode([r.randrange(256, vocab.n_base) for _ in range(n)]).strip().replace("\ufffd", "")
        elif k < 0.85:
            text = " ".join(code(r) for _ in range(r.randint(1, 4)))
        else:
            text = filler(r, "prose")
        ask = r.choice(["Repeat: {t}", "Say this back: {t}", "Repeat after me: {t}", 'Please repeat "{t}"', "Copy this: {t}", "echo {t}", "Write exactly: {t}", "Say {t}"])
        messages += [{"role": "user", "content": ask.format(t=text)}, {"role": "assistant", "content": text}]
        used += 2 * len(vocab.encode(text)) + 8
    return {"messages": messages or [{"role": "user", "content": "Repeat: ok"}, {"role": "assistant", "content": "ok"}]}


def prose(r, size_words):
    """Sentences of ordinary and invented words in the rhythm of English, with the punctuation of books."""
    out = []
    while size_words > 0:
        n = r.randint(5, 28)
        size_words -= n
        sentence = []
        for _ in range(n):
            k = r.random()
            sentence.append(r.choice(w.FUNC) if k < 0.5 else r.choice(w.NOUN + w.ADJ + w.PAST + w.VERB + w.OBJECT) if k < 0.85 else pseudo(r) if k < 0.95 else r.choice(w.FIRST + w.PLACE))
        for _ in range(n // 8):
            i = r.randrange(n)
            sentence[i] += r.choice([",", ",", ",", ";", ":", " -"])
        text = cap(" ".join(sentence)) + r.choice([".", ".", ".", ".", "!", "?"])
        out.append(f'"{text}"' if r.random() < 0.05 else text)
    return out


def among(r, vocab, size, thinking=0.4):
    """As `conversation`, but with book-like filler, few facts, and now and then a question that is not about the text."""
    n_ask = max(1, min(10 if size <= 1024 else 18, size // 70)) if r.random() < 0.75 else 1
    facts = siblings(r, n_ask + 1) if r.random() < 0.35 else unique_facts(r, n_ask + r.choice([0, 0, 1, 2]))
    r.shuffle(facts)
    ask = facts[:n_ask]
    room = size - 50 - sum(2 * len(vocab.encode(f.answer)) + 12 for f in ask) - sum(len(vocab.encode(f.text)) + 3 for f in facts)
    if r.random() < 0.6:
        lines, glue = [], r.choice([" ", " ", "\n", "\n\n"])
        while room > 10:
            new = prose(r, 12)
            room -= sum(len(vocab.encode(x)) + 1 for x in new)
            lines += new
        for f in facts:
            lines.insert(r.randint(0, len(lines)), plant(r, f) if r.random() < 0.3 else f.text)
        doc = glue.join(lines)
    else:
        doc = document(r, vocab, facts, max(10, size - 50 - sum(2 * len(vocab.encode(f.answer)) + 12 for f in ask)))
    first = vary(r, r.choice(ask[0].questions))
    messages = [{"role": "system", "content": r.choice(SYSTEMS)}] if r.random() < 0.2 else []
    if r.random() < 0.85:
        messages.append({"role": "user", "content": r.choice(WRAP).replace("{s}", pseudo(r)).replace("{q}", first).replace("{d}", doc)})
    else:
        messages += [{"role": "user", "content": doc}, {"role": "assistant", "content": r.choice(READ), "given": True}, {"role": "user", "content": first}]
    for i, f in enumerate(ask):
        if i:
            messages.append({"role": "user", "content": vary(r, r.choice(f.questions))})
        messages.append({"role": "assistant", "content": f.answer})
        if r.random() < 0.08:
            import dialog
            q, a = dialog.plain(r)
            messages += [{"role": "user", "content": q}, {"role": "assistant", "content": a}]
    if messages[-1]["content"] == ask[-1].answer and r.random() < thinking:
        messages[-1]["reasoning_content"] = think(r, ask[-1])
    return {"messages": messages}


if __name__ == "__main__":
    class _Split:
        encode = staticmethod(lambda t: t.split())
        n_base = 0
    rng = random.Random(1)
    for _ in range(3):
        for m in conversation(rng, _Split, 200)["messages"]:
            print(m)
        print()
