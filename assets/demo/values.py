"""Values of parameters: what people put into a request and a call must bring out again."""

import words as w
from recall import cap, code, date, person, place, pseudo, thing, time


def phrase(r):
    return r.choice([
        lambda: f"{r.choice(w.VERB)} the {thing(r)}", lambda: f"{r.choice(w.VERB)} {person(r)}",
        lambda: f"{thing(r)} in {place(r)}", lambda: r.choice(["see you at", "meet me at", "call me at", "I will come at"]) + " " + time(r),
        lambda: f"the {r.choice(w.NOUN)} is {r.choice(w.ADJ)}", lambda: f"{r.choice(w.ADJ)} {r.choice(w.NOUN)}",
        lambda: f"buy {r.choice(w.FOOD)} and {r.choice(w.FOOD)}", lambda: r.choice(w.NOUN), lambda: " ".join(r.sample(w.NOUN, 2)),
        lambda: f"{r.choice(w.VERB)} {r.choice(w.NOUN)} {r.choice(w.NOUN)}"])()


def filename(r):
    stem = r.choice([r.choice(w.NOUN), pseudo(r), "_".join(r.sample(w.NOUN, 2)), r.choice(w.OBJECT) + str(r.randint(1, 99))])
    path = r.choice(["", "", "src/", "docs/", "/tmp/", "/home/user/", "data/", f"{r.choice(w.NOUN)}/"])
    return path + stem + r.choice([".txt", ".py", ".md", ".json", ".csv", ".cpp", ".pdf", ".log", ".png"])


def integer(r):
    return r.choice([r.randint(1, 12), r.randint(2, 99), r.randint(100, 9999), r.randint(1, 60)])


def real(r):
    return r.choice([r.randint(1, 500), r.randint(1, 99), r.randint(100, 9999), r.randint(1, 10 ** r.randint(3, 6)), round(r.uniform(0.1, 99), 1), round(r.uniform(0, 9999), 2), r.randint(-30, 50)])


def email(r):
    return f"{r.choice(w.FIRST).lower()}@{r.choice([pseudo(r), 'example', r.choice(w.NOUN)])}.{r.choice(['com', 'org', 'net', 'de'])}"


def pick(*options):
    """A generator of one of the options."""
    def draw(r):
        return r.choice(options)
    draw.options = list(options)
    return draw


UNIT = pick("km", "miles", "meters", "feet", "inches", "cm", "kg", "pounds", "grams", "ounces", "liters", "gallons", "celsius",
            "fahrenheit", "kelvin", "hours", "minutes", "seconds", "days", "yards", "mm", "tons")
CURRENCY = pick("USD", "EUR", "GBP", "JPY", "CHF", "SEK", "dollars", "euros", "pounds", "yen", "francs")
TIMEZONE = lambda r: r.choice(["UTC", "CET", "Europe/Berlin", "Asia/Tokyo", "America/New_York", place(r)])
SYMBOL = lambda r: r.choice(["AAPL", "MSFT", "GOOG", "TSLA", "NVDA", "AMZN", "".join(r.sample("ABCDEFGHIJKLMNOPRSTUVW", 3))])
WORD = lambda r: r.choice(w.NOUN + w.ADJ + w.CODEWORD + w.ANIMAL)
PERSON = lambda r: r.choice([person(r), r.choice(w.FIRST)])


def expression(r):
    a, b, c = (r.randint(1, 999) for _ in range(3))
    o = r.choice("+-*/")
    return r.choice([f"{a} {o} {b}", f"{a}{o}{b}", f"({a} {o} {b}) * {c}", f"{a} {o} {b} {r.choice('+-')} {c}", f"sqrt({a})", f"{a}^2"])


def number_word(n):
    return ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"][n]


def some_url(r):
    return r.choice(["https://", "http://", "www.", ""]) + r.choice([pseudo(r), r.choice(w.NOUN)]) + r.choice([".com", ".org", ".net", ".de", ".io"]) + r.choice(["", "", f"/{r.choice(w.NOUN)}", f"/{pseudo(r)}/{r.randint(1, 99)}"])


def words_of(r, n):
    return " ".join(r.choice([r.choice(w.NOUN), r.choice(w.ADJ), r.choice(w.OBJECT), r.choice(w.FOOD), pseudo(r), r.choice(w.CODEWORD)]) for _ in range(n))


def title(r):
    text = r.choice([thing(r), words_of(r, r.choice([1, 2, 2, 3])), phrase(r), f"{r.choice(w.NOUN)} {r.randint(1, 99)}"])
    return r.choice([text, text.title(), cap(text), text.upper() if r.random() < 0.2 else text])


def unseen(r):
    """A string value that is not in any list."""
    return r.choice([lambda: cap(pseudo(r)), lambda: cap(pseudo(r)), lambda: cap(pseudo(r) + pseudo(r)), lambda: pseudo(r), lambda: code(r),
                     lambda: pseudo(r) + r.choice([".txt", ".pdf", ".md", ".py", ".xlsx", "_" + r.choice(w.NOUN)]),
                     lambda: cap(pseudo(r)) + " " + cap(r.choice(w.NOUN)), lambda: f"{pseudo(r)} {r.choice(w.NOUN)}", lambda: words_of(r, r.choice([1, 2, 3]))])()


def plain_word(r):
    return r.choice([r.choice(w.NOUN), r.choice(w.OBJECT), r.choice(w.ANIMAL), r.choice(w.ADJ), r.choice(w.VERB), r.choice(w.FOOD), pseudo(r)])


# Values of the kinds in toolkit.txt.
VALUES = {
    "place": lambda r: r.choice([r.choice(w.PLACE), r.choice(w.PLACE), cap(pseudo(r)), cap(pseudo(r)) + r.choice([" City", "ville", "burg", "ton", " Bay"]), r.choice(["New ", "San ", "Port ", "Bad ", "Lake "]) + cap(pseudo(r))]),
    "date": date, "time": time, "minutes": lambda r: r.choice([5, 10, 15, 20, 25, 30, 45, 60, 90, r.randint(1, 180)]), "seconds": lambda r: r.randint(1, 600),
    "small": lambda r: r.randint(1, 15), "amount": lambda r: r.choice([r.randint(1, 999), round(r.uniform(1, 999), 2), r.randint(1, 20) * 50]),
    "person": lambda r: r.choice([person(r), r.choice(w.FIRST) + " " + r.choice(w.LAST), cap(pseudo(r)), cap(pseudo(r)) + " " + cap(pseudo(r))]),
    "email": email, "phone": lambda r: r.choice(["", "+"]) + r.choice([str(r.randint(10**5, 10**9)), f"{r.randint(10, 99)} {r.randint(100, 999)} {r.randint(1000, 9999)}", f"{r.randint(100, 999)}-{r.randint(1000, 9999)}"]),
    "phrase": lambda r: r.choice([phrase(r), phrase(r), words_of(r, r.randint(2, 6)), cap(phrase(r))]), "title": title,
    "query": lambda r: r.choice([words_of(r, r.choice([1, 2, 2, 3, 4])), thing(r), thing(r) + "s", pseudo(r)]), "topic": lambda r: r.choice(w.NOUN + w.HOBBY + w.ANIMAL + [thing(r), pseudo(r)]),
    "filename": filename, "folder": lambda r: r.choice(["src", "docs", "/tmp", "/home/user", "tests", r.choice(w.NOUN), "/var/log", f"{r.choice(w.NOUN)}/{pseudo(r)}", pseudo(r), f"~/{r.choice(w.NOUN)}", f"/{pseudo(r)}/{pseudo(r)}"]),
    "url": some_url, "color": lambda r: r.choice(w.COLOR), "device": lambda r: r.choice([thing(r), r.choice(w.OBJECT), code(r), pseudo(r)]), "percent": lambda r: r.choice([r.randint(0, 100), r.randint(0, 10) * 10]),
    "degrees": lambda r: r.choice([r.randint(-20, 35), r.randint(15, 26), round(r.uniform(10, 30), 1), r.randint(100, 250)]),
    "ident": lambda r: r.choice([code(r).replace(" ", "-"), "".join(r.sample("ABCDEFGHJKLMNPQRSTUVWXYZ", 2)) + "-" + str(r.randint(10, 99999)), str(r.randint(100, 999999)), pseudo(r)[:4].upper() + str(r.randint(1, 999))]),
    "whole": lambda r: r.choice([r.randint(1, 99), r.randint(100, 9999), r.randint(1, 99999)]), "year": lambda r: r.randint(1850, 2035), "month": lambda r: r.choice(w.MONTH), "weekday": lambda r: r.choice(w.DAY),
    "real": lambda r: r.choice([r.randint(1, 300), round(r.uniform(0.1, 99), 1), round(r.uniform(1, 300), 2)]), "stars": lambda r: r.randint(1, 5), "age": lambda r: r.randint(1, 99), "switch": lambda r: r.random() < 0.5, "symbol": SYMBOL,
    "food": lambda r: r.choice([r.choice(w.FOOD), f"{r.choice(w.FOOD)} {r.choice(w.FOOD)}", f"{r.choice(w.FOOD)} with {r.choice(w.FOOD)}", pseudo(r)]), "product": lambda r: r.choice([thing(r), r.choice(w.OBJECT), f"{r.choice(w.NOUN)} {r.choice(w.OBJECT)}{r.choice(['', 's'])}", r.choice(w.FOOD), cap(pseudo(r)), cap(pseudo(r)) + " " + str(r.randint(1, 99))]),
    "word": WORD, "host": lambda r: r.choice([some_url(r).split("/")[-1] or pseudo(r), f"{r.choice(w.NOUN)}-{r.randint(1, 99)}", f"10.0.{r.randint(0, 255)}.{r.randint(1, 255)}", pseudo(r)]),
    "login": lambda r: r.choice([r.choice(w.FIRST).lower(), pseudo(r), r.choice(w.FIRST).lower() + str(r.randint(1, 99)), f"{r.choice(w.FIRST).lower()}.{r.choice(w.LAST).lower()}", f"{pseudo(r)}_{r.randint(1, 99)}"]),
    "branch": lambda r: r.choice(["main", "develop", "release", f"feature/{pseudo(r)}", f"fix-{r.randint(1, 999)}", r.choice(w.NOUN), f"{r.choice(w.FIRST).lower()}/{r.choice(w.NOUN)}"]), "tag": lambda r: r.choice(w.NOUN + w.ADJ + [pseudo(r)]),
    "channel": lambda r: r.choice(["#", "", ""]) + r.choice(w.NOUN + [pseudo(r), "general", "random", "dev"]), "seat": lambda r: f"{r.randint(1, 40)}{r.choice('ABCDEF')}", "code": lambda r: code(r).replace(" ", ""),
    "zip": lambda r: str(r.randint(10000, 99999)), "animal": lambda r: r.choice(w.ANIMAL), "plant": lambda r: r.choice(w.PLANTWORD), "company": lambda r: r.choice([cap(pseudo(r)), cap(pseudo(r)) + r.choice([" Ltd", " Inc", " GmbH", " & Sons", " Group"]), f"{r.choice(w.LAST)} {r.choice(['Brothers', 'Systems', 'Foods', 'Motors'])}"]),
    "ip": lambda r: ".".join(str(r.randint(1, 254)) for _ in range(4)), "version": lambda r: r.choice([f"{r.randint(0, 20)}.{r.randint(0, 20)}", f"{r.randint(0, 9)}.{r.randint(0, 20)}.{r.randint(0, 30)}", f"v{r.randint(1, 40)}"]), "thing": thing, "bool": lambda r: r.random() < 0.5,
    "team": lambda r: r.choice([r.choice(w.PLACE), cap(pseudo(r)), f"{r.choice(w.COLOR).title()} {r.choice(w.ANIMAL).title()}s"]),
}
