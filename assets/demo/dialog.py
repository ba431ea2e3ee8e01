"""Answers without document and without tools: the manual's questions, greetings, who-are-you, and the honest 'I do not know'."""

import re
from pathlib import Path

import recall
import words as w

HERE = Path(__file__).parent
SYSTEMS = ["You are a helpful assistant.", "You are Keyhole's demo model.", "Be brief.", "You are a friendly assistant.", "Answer in English.",
           "You are a helpful assistant. Answer in one sentence.", "You help people with Keyhole.", "Be concise and correct.", "You are an AI assistant."]

UNKNOWN = "I am only a small demo model and do not know that. For real answers, load the real GLM-4.7-Flash GGUF in Keyhole."


class Topic:
    def __init__(self, name):
        self.name, self.answer, self.questions, self.phrases = name, "", [], []


def expand(r, pattern):
    """One reading of a pattern: [a/b/c] is one of its alternatives."""
    text = re.sub(r"\[([^\[\]]*)\]", lambda m: r.choice(m.group(1).split("/")) if "/" in m.group(1) else m.group(1), pattern.replace("/v1/", "\1v1\2").replace("[/", "[\1"))
    return re.sub(r"\s+", " ", text.replace("\1", "/").replace("\2", "/")).strip()


def read_topics(path):
    topics = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.startswith("@"):
            topics.append(Topic(line[1:].strip()))
        elif line.startswith("A: "):
            topics[-1].answer = line[3:].strip()
        elif line.startswith("P "):
            kind, _, phrases = line[2:].partition(": ")
            topics[-1].phrases += [(kind, p) for p in phrases.split(" | ")]
        elif line.startswith("Q: "):
            topics[-1].questions += [q.strip() for q in line[3:].split(" | ") if q.strip()]
    return topics


# How people ask, by kind of phrase.
FRAMES = {kind: text.split("|") for kind, text in {
    "fact": "what is {}?|what about {}?|tell me about {}|tell me {}|explain {}|can you explain {}?|I'd like to know {}|{}?|{}|what can you say about {}?|do you know {}?|information on {}|describe {}|I have a question about {}|I don't understand {}|what does the manual say about {}?|could you tell me {}?|I wonder about {}|give me details on {}|remind me, {}?|what's {}?|how about {}?|I am interested in {}|any details on {}?|I came across {}, please explain|somebody mentioned {}, what is it?|a word about {}|let's talk about {}|in the manual, what is said about {}?|{} - what should I know?|what is meant by {}?|I want the facts about {}|please say something about {}|and {}?|anything to know about {}?|I'd love to hear about {}|there was something about {}, what was it?|what would you say about {}?|could I learn more about {}?",
    "can": "can I {}?|how do I {}?|how can I {}?|is it possible to {}?|what do I do to {}?|I want to {}|I'd like to {}|how to {}?|is there a way to {}?|what's the way to {}?|I need to {}|how would I {}?|what must I do to {}?|is there a command to {}?|show me how to {}|am I able to {}?|how does one {}?|what do I need to {}?|could I {}?|help me {}|I am trying to {}|what is the best way to {}?|how should I {}?|may I {}?|why can't I {}?|what allows me to {}?|I have to {}, how?|{}, how?|would it be hard to {}?|what would I use to {}?|I was asked to {}, what do I do?|suppose I want to {}|my plan is to {}, what do I need?|somebody wants to {}, what should I tell them?|do you know how to {}?|any chance to {}?|where do I go to {}?|I can't find out how to {}|which way is there to {}?|it should be possible to {}, right?|for a demo I have to {}|what lets me {}?|let me {}|I wonder how to {}|is anybody able to {}?|{} - how does that work?|what do people do to {}?|my task: {}",
    "if": "what happens if {}?|what if {}?|and if {}?|what does keyhole do if {}?|what happens when {}?|{}, what then?|{}, what now?|{}, what happens?|is it a problem if {}?|what will happen if {}?|suppose {}|what do I get if {}?|{}|how does keyhole react when {}?|what should I expect if {}?|imagine {}, what happens?|what will I see if {}?|I wonder what happens when {}|let's say {}|assume {}, then what?|in case {}, what does it do?|what is going to happen when {}?|today it happened that {}|what now, {}?|how is it handled when {}?|and what if {} by accident?|is keyhole prepared for it if {}?|{} - what comes next?",
    "does": "does it {}?|does keyhole {}?|will it {}?|will keyhole {}?|can it {}?|can keyhole {}?|is it going to {}?|do I have to fear that it will {}?|does the program {}?|I wonder whether it will {}|tell me whether keyhole will {}|would it {}?|does this app {}?|could it {}?|how come it doesn't {}?|why would it {}?|is it true that it will {}?|I'd like to be sure, does it {}?|am I right that it can {}?|I hope it doesn't {}, does it?|somebody said it would {}|how well does it {}?|when does it {}?|does keyhole ever {}?|must it {}?|I fear that it could {}|it won't {}, will it?|explain whether it can {}",
    "option": "how do I set {}?|how do I change {}?|which flag sets {}?|which option sets {}?|is there an option for {}?|what is the switch for {}?|I want to set {}|where do I set {}?|how can I choose {}?|command line option for {}|adjust {}|option: {}|what controls {}?|can I choose {}?|how do I control {}?|which parameter is for {}?|what do I pass to set {}?|set {}|how to configure {}?|flag for {}?|is {} adjustable?|can {} be changed?|I need to change {}|what do I type for {}?|with what do I change {}?|where's the knob for {}?|I'd like something else for {}|can I have a say in {}?|I'm not happy with {}, how do I change that?|how to override {}?|on the command line, how do I give {}?|what's the name of the flag for {}?|let me choose {}|start it with a different value for {}|what do I write to get {}?|{}: which flag?|is there a setting for {}?|tune {}",
    "where": "where are {} stored?|where do I find {}?|which folder holds {}?|location of {}?|in which file are {}?|path of {}?|where does keyhole keep {}?|where does it save {}?|on disk, where are {}?|where are {} kept?|which file contains {}?|I am looking for {}, where are they?|where do {} go?|in what place does keyhole store {}?|which directory has {}?|{}: where?|I want to copy {}, where are they?|on which path are {}?|I'd like to see {} on disk|where on my disk are {}?|the place of {} please|can you tell me where {} live?|which files belong to {}?|where did it put {}?|how do I locate {} on disk?|I'm searching the disk for {}"}.items()}

TOPICS = read_topics(HERE / "questions.txt")


SMALL = [
    ("Hello! I am Keyhole's demo model. Ask me about Keyhole, give me a text with facts, or offer me a tool.",
     "hi|good day|hi there|hello there|hello you|hi keyhole demo|good day to you|hey bot|hi, anybody there?|hello again|hiya|hi there!|greetings|hi!|yo|hey there|hello, how are you|good afternoon|howdy|hello keyhole|hi keyhole|hallo|moin|test|are you there?|anyone there?|start|hello world|hello everybody|a good day to you|hey keyhole|hello my friend|hi friend|nice to meet you|hi, how does this work?|hello, is this on?|welcome|hello hello|hi all|I'm back|here I am|knock knock|hey you|hello dear model|greetings to you|happy new year|merry christmas"),
    ("I am Keyhole's demo model, a tiny network that was trained from scratch to try the program.",
     "what are you?|what is your name?|who is this?|what should I call you?|are you a bot?|are you a language model?|what are you called?|am I talking to a machine?|are you smart?|are you gpt?|are you the big model?|which network answers me?|who or what are you?|are you only a demo?|say who you are|tell me about yourself|introduce yourself|are you chatgpt?|are you gpt-4?|are you glm?|are you a robot?|are you human?|are you a real model?|who made you?|who am I talking to?|who trained you?|which model are you?|what model is this?|are you the real glm-4.7-flash?|are you an ai?|what model am I talking to|describe yourself|how big are you?|how many parameters do you have?|how were you trained?|who created you?|are you claude?|identify yourself|which llm are you?|your name?|are you gemini?|are you llama?|are you some kind of bot?|am I chatting with a person?|who is on the other side?|is there a human?|are you mistral?|what kind of ai are you?|are you copilot?|are you from openai?|what's your model name?|you are who?"),
    ("I answer questions about Keyhole, find facts in a text that you give me, and call simple tools. For more, load the real GLM-4.7-Flash.",
     "what are you able to do?|what are you for?|what do you do?|tell me what you can do|what is possible here?|what kind of help do you offer?|how do I use you?|what may I ask you?|what topics do you know?|can you do anything useful?|what can I use you for?|which tasks can you do?|how can you help me?|help|help me|what do you know?|what should I ask you?|what are your abilities?|what can I ask?|show me what you can do|what are you good at?|what kind of questions can you answer?|can you help me?|what can I do with you?|give me some ideas what to ask|what are your skills?|how can I use you?|what are your limits?|what can't you do?|suggest a question|example questions please|list your capabilities"),
    ("I am fine, thank you. What would you like to know about Keyhole?",
     "how are you?|how are you doing?|how do you do?|how is it going?|hope you are well|all good with you?|how have you been?|you alright?|is everything fine?|having a good day?|how's it going|are you ok?|how do you feel?|what's up?|how are you today?|are you well?|everything ok?"),
    ("You are welcome.",
     "thank you|thanks for the help|that was helpful|much appreciated|I appreciate it|cool, thanks|great help|ty|thank you very much|thx|many thanks|great, thanks|that helped|thanks a lot|perfect, thank you|cheers|ok thanks|awesome, thanks!|nice, thank you"),
    ("Goodbye!",
     "goodbye|see you|see you later|ciao|I'm leaving|talk soon|cu|that was all, bye|have a nice day|good night|bye bye|farewell|I have to go|exit|quit|that's all|talk to you later|ok bye|cya|take care|until next time|so long|I'm off|bye my friend|see you around|sleep well|until later|we are done|bye, thanks|I'll be back|closing the window now|over and out|adios|auf wiedersehen"),
    ("All right.",
     "ok|okay|good|nice|great|cool|I see|alright|yes|sure|fine|wow|interesting|well done|good job|not bad|hm|aha|perfect|no|maybe"),
]
ASK = """what is the capital of {p}?|who was {N} {L}?|write a poem about {n}|write a story about a {t}|tell me a joke|what is {k} times {k}?|what is {k} + {k}?|what is {k} plus {k}
translate {n} to french|how do I cook {f}?|who won the world cup?|what is the meaning of life?|explain quantum physics|explain {n} to me|what is the weather in {p}?|what time is it?
who is the president of {p}?|write a python function that sorts a list|write code to read a file in {G}|how far is the moon?|when was {p} founded?|how old is the {n}?|what is a {t}?|who invented the {o}?
what happened in {y}?|why is the sky blue?|how tall is mount everest?|give me a recipe for {f}|what should I eat today?|recommend a book|recommend a movie|who is {N} {L}?|what do you think about {n}?
how many people live in {p}?|what language is spoken in {p}?|summarize the history of {p}|what is the best {o}?|how does a {o} work?|can you draw a {t}?|sing a song|play chess with me|what is love?
is there life on mars?|what is the square root of {k}?|solve x + {k} = {k}|how do I learn {G}?|what is {G}?|which is better, {G} or {G}?|fix my code|write an email to {N}|what's the news today?|how do I get rich?
what is the distance between {p} and {p}?|why do {t}s sleep?|how many legs has a {t}?|what color is the {o}?|tell me something about {p}|tell me about {N}|what is photosynthesis?|who wrote hamlet?|when did the war end?
give me a list of {t}s|count to {k}|what day is it?|do you like {f}?|are {t}s dangerous?|where is {p}?|what is the tallest mountain?|how to repair a {o}?|what does {s} mean?|define {n}|is {f} healthy?|how much is a {o}?
what is the boiling point of water?|what is machine learning?|what is a neural network?|what is the speed of light?|convert {k} miles to km|spell {n} backwards|what rhymes with {n}?|plan a trip to {p}|where can I buy {f}?
who painted the {o}?|how many planets are there?|what is {k} minus {k}?|which country is bigger, {p} or {p}?|who discovered {p}?|tell me a story about {N}|invent a name for my {t}|what do {t}s eat?|how fast can a {t} run?
can you sing?|what should I cook tonight?|give me tips for {f}|why do people like {f}?|how do I lose weight?|how can I sleep better?|what is the best way to learn {G}?|write a haiku about {n}|write a letter to {N}|correct this sentence: {N} have a {t}
what is the population of {p}?|which currency is used in {p}?|when is the best time to visit {p}?|is {p} a nice city?|what can I see in {p}?|who is the king of {p}?|what is the history of {n}?|how does a {o} engine work?|what causes {n}?
do you believe in god?|what is your favourite food?|do you have feelings?|how old are you?|are you married?|what is the difference between {n} and {n}?|give me a synonym of {n}|how do you spell {n}?|what is the plural of {n}?|is {s} a real word?|where does the word {n} come from?
how do I fix my {o}?|my {o} is broken|my {t} is sick, what should I do?|how do I get to {p}?|what is the fastest {o}?|how much does a {o} weigh?|when was the {o} invented?|name three {t}s|name a famous {n}|what is the opposite of {n}?|who was the first person on the moon?
write an essay about {n}|make a table of {n} and {n}|what's {k} divided by {k}?|calculate {k} * {k}|solve this equation: {k}x = {k}|is {k} a prime number?|what is {k} percent of {k}?|tell me tomorrow's weather|what will happen in {y}?|who will win the election?|what are the lottery numbers?
how do I write a loop in {G}?|what is a pointer?|explain recursion|what is docker?|how does git work?|what is the difference between {G} and {G}?|write a test for my code|review my code|what's wrong with my program?|how do I center a div?|what does this error mean?|translate {n} into german
give me a workout plan|how many calories are in {f}?|is {f} good with {f}?|what wine goes with {f}?|where is {N} {L} from?|how rich is {N} {L}?|when was {N} {L} born?|what did {N} {L} write?|is {N} {L} still alive?|do you know {N} {L}?|have you heard of {s}?|what is {s}?|who is {s}?
tell me something interesting|tell me a secret|say something in french|can you rap?|draw me a picture|play some music|set an alarm|call my mother|send an email|open the browser|search the web for {n}|what's on tv?|order a pizza|turn on the light|book a flight to {p}|remind me to buy {f}""".replace("\n", "|").split("|")


def ask_unknown(r):
    q = r.choice(ASK)
    for slot, values in (("p", w.PLACE), ("N", w.FIRST), ("L", w.LAST), ("n", w.NOUN), ("t", w.ANIMAL), ("f", w.FOOD), ("o", w.OBJECT), ("G", w.LANGUAGE)):
        while "{" + slot + "}" in q:
            q = q.replace("{" + slot + "}", r.choice(values), 1)
    while "{k}" in q:
        q = q.replace("{k}", str(r.randint(2, 999)), 1)
    return q.replace("{y}", str(r.randint(1000, 2024))).replace("{s}", recall.pseudo(r))


# Words that no question about the manual has.
KNOWN = set(re.findall(r"[a-z]+", " ".join(q for t in TOPICS for q in t.questions + [p for _, p in t.phrases]).lower()))
STRANGE = {k: [x for x in v if not set(re.findall(r"[a-z]+", x.lower())) & KNOWN] for k, v in
           (("n", w.NOUN + w.OBJECT + w.ANIMAL + w.FOOD + w.HOBBY + w.JOB + w.PLANTWORD + w.MATERIAL + w.INSTRUMENT), ("v", w.VERB + "paint knit sew boil roast plant marry teach climb juggle drive ride hunt polish fry melt tame breed carve iron grill wash peel brew weave feed train impress tickle dig brush lift throw mend borrow admire invent".split()), ("a", w.ADJ + w.COLOR), ("p", w.PLACE))}


def ask_strange(r):
    """Asked like a question about the manual, but with words from elsewhere."""
    n, m = (r.choice(STRANGE["n"]) if r.random() < 0.75 else recall.pseudo(r) for _ in range(2))
    v, a, p = r.choice(STRANGE["v"]), r.choice(STRANGE["a"]), r.choice(STRANGE["p"]) if r.random() < 0.8 else recall.cap(recall.pseudo(r))
    kind = r.choice(["fact", "fact", "can", "can", "if"])
    phrase = r.choice({"fact": [n, f"the {n}", f"the {n} of {p}", f"the {n} of the {m}", f"{a} {n}s", p, f"{r.choice(w.FIRST)} {r.choice(w.LAST)}", f"{n} and {m}", f"the {n} in {p}", f"a {a} {n}", f"{n} {m}"],
                       "can": [f"{v} {n}", f"{v} a {n}", f"{v} the {n} in {p}", f"{v} my {n}", f"{v} {a} {n}s", f"become a {n}", f"{v} a {n} with a {m}", f"travel to {p}", f"grow {n}"],
                       "if": [f"I {v} the {n}", f"the {n} is {a}", f"a {n} meets a {m}", f"it rains in {p}", f"I eat a {n}", f"the {n} falls on the {m}", f"my {n} is {a}"]}[kind])
    return r.choice([f for f in FRAMES[kind] if "keyhole" not in f and "manual" not in f and "command" not in f]).replace("{}", phrase)


# Words that people use for one another; a training question has some of them exchanged.
SYNONYMS = [s.split("/") for s in """show/display/print/list/view|start/launch/run/open/fire up/boot|stop/end/cancel/abort/halt/terminate|big/large/huge|folder/directory/dir|
model/llm/network/neural network|keyhole/the program/this app/the app/the application/this program/the software/this tool|need/require/want|use/utilise/work with|
machine/computer/pc/laptop/box|how do I/how can I/how to/how would I/how should I/what's the way to/how does one/how might I/what do I do to|what is/what's/whats/explain|
memory/ram|answer/reply/response|conversation/chat/dialogue|server/http server/api server/endpoint|gpu/graphics card/video card|option/flag/switch/parameter/argument|
which/what|stored/saved/kept/placed/located|change/alter/modify/adjust|terminal/console/shell/command line|find/locate/see|get/obtain/receive|file/document|
happens/occurs|possible/feasible|cache/kv cache|tokens/tok|take/need/use/occupy/consume|quickly/fast|give/provide/pass/supply|request/call|set/specify/configure/define|several/multiple/many/more than one""".replace("\n", "").split("|")]
_LOOKUP = {}
for _group in SYNONYMS:
    for _x in _group:
        _LOOKUP.setdefault(_x, []).extend(y for y in _group if y != _x)
_PATTERN = re.compile(r"\b(" + "|".join(sorted(map(re.escape, _LOOKUP), key=len, reverse=True)) + r")\b")
BEFORE = ["I'd like to know: ", "I would like to know ", "can you tell me ", "could you explain ", "please tell me ", "tell me ", "hi, ", "hello, ", "hey, ", "quick question: ", "question: ", "sorry, but ", "one more thing: ",
          "I was wondering, ", "do you know ", "please, ", "so ", "ok, ", "and ", "well, ", "now, ", "in keyhole, ", "with keyhole, ", "about keyhole: ", "I want to know ", "maybe you know ", "just curious: ", "my question is: ", "a friend asked me: ", "regarding keyhole, "]
AFTER = [" please", " thanks", " thank you", " in keyhole", " with keyhole", " exactly", " again", " in this program", " please?", " here", " in short", " then", " when I use keyhole", " I forgot", " for me", " actually"]


# What people say before they come to the question; it decides nothing.
PREAMBLE = ["I am new to this.", "I am new here.", "I just read the readme.", "We talked about this at work.", "My boss wants to know.", "A colleague asked me.", "I am writing a guide.", "I tried for an hour.", "Sorry for the silly question.",
            "I could not find it.", "I looked everywhere.", "I'm a bit lost.", "Before I go on:", "It's my first day with it.", "I read something about it.", "I am not a programmer.", "Somebody on a forum asked.", "I'm preparing a talk.", "Let me ask something else.",
            "One thing I do not get.", "I have a small question.", "Not sure I understand.", "I forgot how it goes.", "Just to be sure.", "I want to understand this.", "It's for a friend.", "This may be obvious.", "I am comparing tools.", "I'm curious.", "Help me out."]
INSIDE = ["really", "actually", "just", "maybe", "here", "somehow", "also", "already", "again", "now", "at home", "at work", "right now", "by any chance", "in general", "normally", "usually", "directly", "simply", "exactly", "still", "ever", "too", "yet",
          "for once", "on my side", "somewhere", "in practice", "at all", "today", "quickly", "safely", "of course", "for example", "so far", "in fact", "basically", "perhaps", "later", "tonight", "with my setup", "for my team", "for my thesis", "in my case", "as a beginner", "from my side"]
TRAILER = ["I couldn't find it anywhere.", "I'm asking for a friend.", "Thanks in advance.", "Just curious.", "I'm new to this.", "That would help me.", "I looked in the readme.", "I don't want to break anything.", "It is for work.", "Short answer please."]


def unknown(r):
    """A question that the demo model cannot answer."""
    return ask_unknown(r) if r.random() < 0.5 else ask_strange(r)


def typo(r, text):
    i = r.randrange(len(text) - 1)
    k = r.random()
    if k < 0.3:
        return text[:i] + text[i + 1:]
    if k < 0.6:
        return text[:i] + text[i + 1] + text[i] + text[i + 2:]
    if k < 0.8:
        return text[:i] + text[i] + text[i:]
    return text[:i] + r.choice("abcdefghijklmnopqrstuvwxyz") + text[i + 1:]


def noise(r, q, strength=1.0):
    """The question as somebody else would type it; strength below 1 is for what is not about Keyhole."""
    if r.random() < 0.35 * strength:
        q = _PATTERN.sub(lambda m: r.choice(_LOOKUP[m.group(1)]) if r.random() < 0.5 else m.group(1), q)
    if r.random() < 0.10 * strength:
        words = q.split()
        for _ in range(r.choice([1, 1, 2])):
            if len(words) > 4:
                del words[r.randrange(len(words))]
        q = " ".join(words)
    for _ in range(2):
        if r.random() < 0.10 * strength:
            words = q.split()
            words.insert(r.randint(1, len(words)), r.choice(INSIDE))
            q = " ".join(words)
    if r.random() < 0.06 * strength:
        words = [x for x in re.sub(r"[?.!,]", "", q).split() if x.lower() not in STOP]
        if len(words) >= 2:
            if r.random() < 0.3:
                r.shuffle(words)
            q = " ".join(words)
    if r.random() < 0.16 * strength:
        q = r.choice([x for x in BEFORE if strength == 1 or "keyhole" not in x]) + q
    if r.random() < 0.08 * strength:
        q = q.rstrip("?.!") + r.choice([x for x in AFTER if strength == 1 or "keyhole" not in x]) + ("?" if q.endswith("?") else "")
    if r.random() < 0.08 * strength:
        q = recall.cap(r.choice(PREAMBLE)) + " " + (recall.cap(q) if r.random() < 0.5 else q)
    elif r.random() < 0.04 * strength:
        q = q + ("" if q[-1] in "?.!" else r.choice("?.")) + " " + r.choice(TRAILER)
    for _ in range(2):
        if r.random() < 0.07 * strength and len(q) > 8:
            q = typo(r, q)
    k = r.random()
    if k < 0.55:
        q = recall.cap(q)
    elif k < 0.57:
        q = q.upper()
    elif k < 0.7:
        q = q.lower()
    if k > 0.4 and r.random() < 0.8:
        q = q.replace("keyhole", "Keyhole")
    if r.random() < 0.2:
        q = q.rstrip("?.")
    return q


STOP = set("what is the a an of to do i how does can it in for my are which and on with where if when there be me you that this".split())
KEY_THOUGHT = ["The user asks about Keyhole. I know this from the manual.", "This is a question about Keyhole.", "The manual answers this."]


def manual(r):
    """A question about the manual and its answer."""
    t = r.choice(TOPICS)
    if t.phrases and r.random() < 0.3:
        kind, phrase = r.choice(t.phrases)
        return noise(r, r.choice(FRAMES[kind]).replace("{}", phrase)), t.answer
    return noise(r, expand(r, r.choice(t.questions))), t.answer


# What a question is about, and the words of tools that could answer it: with such a tool offered it is not to be asked as one that nobody can answer.
ANSWERABLE = [(re.compile(q, re.I), re.compile(t, re.I)) for q, t in (
    (r"\d|plus|minus|times|divided|square root|percent|calculat|prime|equation", r"add|sum|calc|comput|expression|multip|subtract|divi|number|math|prime|sqrt|root|percent|power|convert|product|factor|round|max|evaluat|unit"),
    (r"translat|french|german|language", r"translat|language|say"), (r"weather", r"weather|forecast|temperature|rain|umbrella"), (r"time|day|date|when|old|year", r"time|date|day|clock|calendar|when|year"),
    (r"news|happened|war", r"news|headline"), (r"alarm|remind", r"alarm|remind|timer|wake|task|note"), (r"music|sing|song|play|rap|listen", r"music|song|play|volume|artist"), (r"light", r"light|lamp|bright|switch"),
    (r"mail|letter|write", r"mail|message|send|write|post"), (r".", r"search|wiki|google|\bweb\b|internet|dictionary|defin|encyclo|article|lookup|look up"), (r"flight|trip|visit|distance|get to|where|see in|far", r"flight|route|distance|direction|travel|hotel|trip|map|locat|navig"),
    (r"recipe|cook|eat|food|calorie|healthy|wine|pizza", r"recipe|cook|food|calor|nutri|dish|meal|restaurant|pizza|order"), (r"price|cost|much|rich|buy|order", r"price|cost|stock|quote|order|buy|shop|purchase|product"), (r"call", r"call|phone|dial"),
    (r"browser|open", r"open|brows|url|page"), (r"joke|interesting|secret", r"joke|quote|fact"), (r"poem|story|draw|picture|haiku|essay|table|list|count|name", r"write|draw|image|picture|paint|story|poem|generat|list|count|name"),
    (r"code|function|loop|error|test|python|program", r"code|run|test|exec|debug|compil|function|shell"), (r"book|movie|tv|wrote|hamlet", r"book|movie|film|read|author"), (r"people|capital|president|currency|country|king|population|city", r"population|capital|country|currency|exchange|city"),
    (r"mean|define|word|synonym|spell|rhyme|opposite|plural", r"word|synonym|rhyme|spell|term|meaning|revers|text"))]


def plain(r, offered=()):
    """A question without document or tool, and its answer; none that one of the tools offered could answer."""
    while True:
        q, a = any_plain(r)
        if a != UNKNOWN or not offered:
            return q, a
        tools = " ".join(t.name.replace("_", " ") + " " + t.schema["function"].get("description", "") for t in offered)
        if not any(asked.search(q) and able.search(tools) for asked, able in ANSWERABLE):
            return q, a


def any_plain(r):
    k = r.random()
    if k < 0.45:
        return manual(r)
    if k < 0.68:
        answer, asks = r.choice(SMALL)
        return noise(r, r.choice(asks.split("|")), 0.3), answer
    return noise(r, unknown(r), 0.5), UNKNOWN


def conversation(r, vocab, size, thinking=0.4):
    """Questions about the manual with some small talk, as many turns as fit; or only a turn or two."""
    messages = []
    if r.random() < 0.2:
        messages.append({"role": "system", "content": r.choice(SYSTEMS)})
    room = size - 40
    while room > 0:
        k = r.random()
        if k < 0.74:
            q, a = manual(r)
            thought = r.choice(KEY_THOUGHT)
        elif k < 0.84:
            answer, asks = r.choice(SMALL)
            q, a, thought = noise(r, r.choice(asks.split("|")), 0.3), answer, "A short friendly answer is enough."
        else:
            q, a, thought = noise(r, unknown(r), 0.5), UNKNOWN, "This is not about Keyhole, and I do not know it."
        cut = None
        if r.random() < 0.6:        # the beginning of an answer is where it is chosen: leave out the rest of some
            cut = " ".join(a.split()[:r.randint(4, 8)])
        room -= len(vocab.encode(q)) + len(vocab.encode(cut or a)) + 4
        if room < 0 and len(messages) > 1:
            break
        messages += [{"role": "user", "content": q}, {"role": "assistant", "content": cut or a, "open": bool(cut), "reasoning_content": thought, "whole": a}]
    messages[-1].update(content=messages[-1]["whole"], open=False)
    keep = r.random() < thinking
    for i, m in enumerate(messages):
        if not (keep and i == len(messages) - 1):
            m.pop("reasoning_content", None)
    return {"messages": messages}
