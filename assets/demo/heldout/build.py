"""Writes the held-out sets recall_*.jsonl, tools.jsonl, no_tool.jsonl, tool_result.jsonl and small.jsonl: python build.py

Nothing here is used in training: the filler is old books, a README and code; facts, wordings and tools were written separately.
manual.jsonl beside it was written by hand, question by question.
"""

import json
import random
from pathlib import Path

HERE = Path(__file__).parent

BOOKS = ["""Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse, and nothing particular to interest me on shore, I thought I would sail about a little and see the watery part of the world. It is a way I have of driving off the spleen and regulating the circulation. Whenever I find myself growing grim about the mouth; whenever it is a damp, drizzly November in my soul; whenever I find myself involuntarily pausing before coffin warehouses, and bringing up the rear of every funeral I meet; and especially whenever my hypos get such an upper hand of me, that it requires a strong moral principle to prevent me from deliberately stepping into the street, and methodically knocking people's hats off, then, I account it high time to get to sea as soon as I can. This is my substitute for pistol and ball. With a philosophical flourish Cato throws himself upon his sword; I quietly take to the ship. There is nothing surprising in this. If they but knew it, almost all men in their degree, some time or other, cherish very nearly the same feelings towards the ocean with me.""",
"""Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do: once or twice she had peeped into the book her sister was reading, but it had no pictures or conversations in it. So she was considering in her own mind, as well as she could, for the hot day made her feel very sleepy and stupid, whether the pleasure of making a daisy-chain would be worth the trouble of getting up and picking the daisies, when suddenly a White Rabbit with pink eyes ran close by her. There was nothing so very remarkable in that; nor did Alice think it so very much out of the way to hear the Rabbit say to itself, Oh dear! I shall be late! But when the Rabbit actually took a watch out of its waistcoat-pocket, and looked at it, and then hurried on, Alice started to her feet, for it flashed across her mind that she had never before seen a rabbit with either a waistcoat-pocket, or a watch to take out of it, and burning with curiosity, she ran across the field after it, and fortunately was just in time to see it pop down a large rabbit-hole under the hedge.""",
"""It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife. However little known the feelings or views of such a man may be on his first entering a neighbourhood, this truth is so well fixed in the minds of the surrounding families, that he is considered the rightful property of some one or other of their daughters. My dear Mr. Bennet, said his lady to him one day, have you heard that Netherfield Park is let at last? Mr. Bennet replied that he had not. But it is, returned she; for Mrs. Long has just been here, and she told me all about it. Mr. Bennet made no answer. Do not you want to know who has taken it? cried his wife impatiently. You want to tell me, and I have no objection to hearing it. This was invitation enough.""",
"""It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of Darkness, it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing before us. There were a king with a large jaw and a queen with a plain face, on the throne of England; there were a king with a large jaw and a queen with a fair face, on the throne of France. In both countries it was clearer than crystal to the lords of the State preserves of loaves and fishes, that things in general were settled for ever.""",
"""To Sherlock Holmes she is always the woman. I have seldom heard him mention her under any other name. In his eyes she eclipses and predominates the whole of her sex. It was not that he felt any emotion akin to love. All emotions, and that one particularly, were abhorrent to his cold, precise but admirably balanced mind. He was, I take it, the most perfect reasoning and observing machine that the world has seen, but as a lover he would have placed himself in a false position. He never spoke of the softer passions, save with a gibe and a sneer. Grit in a sensitive instrument, or a crack in one of his own high-power lenses, would not be more disturbing than a strong emotion in a nature such as his.""",
"""No one would have believed in the last years of the nineteenth century that this world was being watched keenly and closely by intelligences greater than man's and yet as mortal as his own; that as men busied themselves about their various concerns they were scrutinised and studied, perhaps almost as narrowly as a man with a microscope might scrutinise the transient creatures that swarm and multiply in a drop of water. With infinite complacency men went to and fro over this globe about their little affairs, serene in their assurance of their empire over matter. It is possible that the infusoria under the microscope do the same.""",
"""You don't know about me without you have read a book by the name of The Adventures of Tom Sawyer; but that ain't no matter. That book was made by Mr. Mark Twain, and he told the truth, mainly. There was things which he stretched, but mainly he told the truth. That is nothing. I never seen anybody but lied one time or another, without it was Aunt Polly, or the widow, or maybe Mary."""]
README = ["""# tidewatch

Tidewatch keeps an eye on water levels and tells you before the cellar floods. It talks to cheap ultrasonic sensors over a serial line and writes one reading per minute to a plain text log.

## Requirements

- a sensor with a serial interface
- Python 3.9 or newer
- about two megabytes of free space per year of readings

## Usage

Connect the sensor, find its device name, and start the daemon:

    tidewatch --device /dev/ttyUSB0 --interval 60

The daemon prints a warning when the level rises faster than the slope in its configuration. Warnings repeat every ten minutes until acknowledged.

## Design notes

We deliberately avoid a database. Text logs survive power cuts, can be inspected with ordinary tools and are easy to rotate. The parser tolerates truncated lines, because a reboot may interrupt a write.

## Contributing

Bug reports with a log excerpt are the most helpful. Please run the linter before you open a pull request, and describe the hardware you tested with.""",
"""# Changelog

All notable changes are listed here, newest first.

## 2.4.0
- The importer understands nested archives.
- Fixed a crash when a directory disappears during a scan.
- Thumbnails are produced lazily, which halves the time of the first run on big collections.

## 2.3.1
- Corrected a regression in the sorting of umlauts.
- The progress dialog no longer steals keyboard focus.

## 2.3.0
- New: albums can be shared as static pages.
- New: keyboard shortcuts can be edited.
- Removed the experimental cloud synchronisation, which nobody maintained."""]
CODE = ["""import collections
import heapq


class Graph:
    def __init__(self):
        self.edges = collections.defaultdict(list)

    def connect(self, a, b, cost=1.0):
        self.edges[a].append((b, cost))
        self.edges[b].append((a, cost))

    def shortest(self, start, goal):
        queue = [(0.0, start, [])]
        visited = set()
        while queue:
            distance, node, path = heapq.heappop(queue)
            if node in visited:
                continue
            visited.add(node)
            path = path + [node]
            if node == goal:
                return distance, path
            for neighbour, cost in self.edges[node]:
                if neighbour not in visited:
                    heapq.heappush(queue, (distance + cost, neighbour, path))
        return None
""", """#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

namespace ledger {

struct Entry {
    std::int64_t cents = 0;
    std::string_view account;
};

std::int64_t balance(const std::vector<Entry>& entries, std::string_view account) {
    std::int64_t sum = 0;
    for (const Entry& entry : entries) {
        if (entry.account == account) sum += entry.cents;
    }
    return sum;
}

bool is_sorted_by_account(const std::vector<Entry>& entries) {
    return std::is_sorted(entries.begin(), entries.end(),
                          [](const Entry& a, const Entry& b) { return a.account < b.account; });
}

}  // namespace ledger
"""]

COLOURS = "blue green scarlet maroon khaki lilac navy olive".split()
THINGS = "cabinet filing cabinet|storage unit|boathouse|wine cellar|fuse box|post box|server rack|bike shed|observatory|cash box|darkroom|tool shed".replace("cabinet filing", "filing", 1).split("|")
PEOPLE = ["Mirabel", "Thaddeus", "Professor Okonkwo", "Aunt Mathilda", "Rosalind", "Bartholomew", "Svetlana", "Kwame", "Dr. Lindqvist", "Giulia", "Anselm", "Ottoline"]
WORDS = "marmalade papaya vermilion trombone sycamore barnacle parsnip hedgerow galaxy cinnamon porcupine meridian wisteria thimble".split()


def facts(r):
    """(sentence, question, value) in many forms."""
    digits = lambda n: "".join(r.choice("0123456789") for _ in range(n))
    c, t, p, q, v = r.choice(COLOURS), r.choice(THINGS), r.choice(PEOPLE), r.choice(PEOPLE), r.choice(WORDS)
    n = digits(4)
    m = str(r.randint(12, 980))
    return [
        (f"The access code for the {c} {t} is {n}.", f"What is the access code for the {c} {t}?", n),
        (f"The secret word is {v}.", "What is the secret word?", v),
        (f"The password for the {t} is {v}{n[:2]}.", f"What's the password for the {t}?", v + n[:2]),
        (f"{p}'s favourite fruit is the {v}.", f"What is {p}'s favourite fruit?", v),
        (f"{p}'s favorite color is {c}.", f"Which color does {p} like best?", c),
        (f"The spare key is hidden under the {c} {t}.", "Where is the spare key hidden?", f"{c} {t}"),
        (f"The magic number is {m}.", "What is the magic number?", m),
        (f"The ferry to Lerwick leaves at 6:{n[:1]}5.", "When does the ferry to Lerwick leave?", f"6:{n[:1]}5"),
        (f"{p} works as a beekeeper in Trondheim.", f"What does {p} do for a living?", "beekeeper"),
        (f"{p} lives in Valparaiso.", f"Where does {p} live?", "Valparaiso"),
        (f"The code name of the operation is {v.capitalize()}.", "What is the code name of the operation?", v),
        (f"The {t} was built in 1{n[1:]}.", f"In which year was the {t} built?", "1" + n[1:]),
        (f"The captain of the {v.capitalize()} is {p}.", f"Who is the captain of the {v.capitalize()}?", p),
        (f"The serial number of the {t} is {v[:2].upper()}-{n}.", f"Tell me the serial number of the {t}.", f"{v[:2].upper()}-{n}"),
        (f"The budget for the {c} project is {m} euros.", f"How high is the budget for the {c} project?", m),
        (f"The meeting with {p} takes place on Thursday.", f"On which day is the meeting with {p}?", "Thursday"),
        (f"{p} has a pet hedgehog named {v.capitalize()}.", f"What is the name of {p}'s pet?", v),
        (f"The wifi password is {v}-{n}.", "what is the wifi password", f"{v}-{n}"),
        (f"The treasure is buried behind the {t}.", "Where is the treasure buried?", t),
        (f"max_upload_size = {n}", "What is the value of max_upload_size?", n),
        (f"The phone number of {p} is 555-{n}.", f"What is the phone number of {p}?", f"555-{n}"),
        (f"The new director of the museum is {p}.", "Who is the new director of the museum?", p),
        (f"The room number of {p} is {m}.", f"what room number does {p} have?", m),
        (f"Remember that the launch date is 1{n[0]} March.", "What is the launch date?", f"1{n[0]} March"),
    ]


def filler(r, n_chars):
    kind = r.choice([BOOKS, BOOKS, BOOKS, README, CODE])
    out = []
    while sum(map(len, out)) < n_chars:
        pool = list(kind) if r.random() < 0.8 else list(BOOKS)
        r.shuffle(pool)
        for passage in pool:
            out += passage.split("\n") if kind is not BOOKS else [s + "." for s in passage.rstrip(".").split(". ")]
    while out and sum(map(len, out)) > n_chars:
        out.pop()
    return out, "\n" if kind is not BOOKS else " "


def recall(r, n_chars, n):
    """n_chars: about 3.3 characters make a token of this filler."""
    items = []
    while len(items) < n:
        all_facts = facts(r)
        fact, question, value = all_facts[len(items) % len(all_facts)]
        lines, glue = filler(r, n_chars)
        if value.lower() in glue.join(lines).lower():
            continue
        if r.random() < 0.4:        # a second fact of another kind, as a distractor
            other = r.choice([f for f in all_facts if f[2].lower() != value.lower() and f[1] != question and f[1].split()[-1] != question.split()[-1]])
            lines.insert(r.randint(0, len(lines)), other[0])
        lines.insert(r.randint(0, len(lines)), fact)
        document = glue.join(lines)
        content = r.choice(["{d}\n\n{q}", "{d}\n\n{q}", "Here is a document:\n\n{d}\n\n{q}", '<file path="notes.txt">\n{d}\n</file>\n\n{q}']).replace("{d}", document).replace("{q}", question)
        messages = [{"role": "user", "content": content}]
        if r.random() < 0.2:
            messages.insert(0, {"role": "system", "content": "You are a careful assistant. Use the document."})
        items.append({"messages": messages, "must": [[value]]})
    return items


def tool(name, description, **properties):
    return {"type": "function", "function": {"name": name, "description": description, "parameters": {
        "type": "object", "properties": {k: ({"type": v} if isinstance(v, str) else v) for k, v in properties.items()}, "required": list(properties)}}}


WEATHER = tool("get_weather", "Get the current weather for a city", city={"type": "string", "description": "The city name"})
ADD = tool("add_numbers", "Add two numbers together", a="number", b="number")
FILES = tool("search_files", "Search for files by name", query={"type": "string", "description": "What to search for"})
CONVERT = tool("convert_units", "Convert a value between units", value={"type": "number"}, from_unit={"type": "string"}, to_unit={"type": "string"})
TIMER = tool("set_timer", "Set a countdown timer", minutes={"type": "integer", "description": "Minutes until the timer rings"})
TRANSLATE = tool("translate_text", "Translate text to another language", text="string", target_language="string")
MAIL = tool("send_email", "Send an email", to="string", subject="string")
LIGHT = tool("switch_lamp", "Switch the lamp of a room on or off", room="string", on="boolean")
STOCK = tool("get_stock_price", "Get the latest price of a stock", ticker={"type": "string", "description": "Ticker symbol such as AAPL"})
PARCEL = tool("track_parcel", "Track a parcel by its number", parcel_number={"type": "string"})
BOOKING = tool("book_room", "Book a meeting room", room={"type": "string"}, hours={"type": "integer"})
PLANT = tool("water_plants", "Water the plants in a zone of the garden", zone={"type": "string"}, liters={"type": "number"})
TIME = tool("get_time", "Returns the current time in a timezone", timezone={"type": "string"})
NOW = tool("current_date", "Returns today's date")
ALL = [WEATHER, ADD, FILES, CONVERT, TIMER, TRANSLATE, MAIL, LIGHT, STOCK, PARCEL, BOOKING, PLANT, TIME, NOW]
CALLS = [
    (WEATHER, "What's the weather like in Trondheim?", {"city": "Trondheim"}), (WEATHER, "Do I need a jacket in Montevideo today?", {"city": "Montevideo"}),
    (WEATHER, "Please check the weather in Krakow.", {"city": "Krakow"}), (WEATHER, "Is it snowing in Tromso?", {"city": "Tromso"}),
    (WEATHER, "Could you tell me how the weather is in Adelaide right now?", {"city": "Adelaide"}), (WEATHER, "weather Bratislava", {"city": "Bratislava"}),
    (ADD, "What is 1234 plus 8765?", {"a": 1234, "b": 8765}), (ADD, "Add 17 and 25.", {"a": 17, "b": 25}), (ADD, "How much is 3.5 + 2.25?", {"a": 3.5, "b": 2.25}),
    (ADD, "I want to know the sum of 48 and 391.", {"a": 48, "b": 391}), (ADD, "Can you add 12 and 30 for me?", {"a": 12, "b": 30}), (ADD, "6 + 9", {"a": 6, "b": 9}),
    (FILES, "Search for files named budget.xlsx", {"query": "budget.xlsx"}), (FILES, "Find the file holiday_plan.md", {"query": "holiday_plan.md"}),
    (FILES, "Look for files called thesis.pdf", {"query": "thesis.pdf"}), (FILES, "Where is the file passwords.txt?", {"query": "passwords.txt"}),
    (CONVERT, "Convert 26 miles to km.", {"value": 26, "from_unit": "miles", "to_unit": "km"}), (CONVERT, "How many feet are 180 cm?", {"value": 180, "from_unit": "cm", "to_unit": "feet"}),
    (CONVERT, "What is 72 fahrenheit in celsius?", {"value": 72, "from_unit": "fahrenheit", "to_unit": "celsius"}), (CONVERT, "Please convert 5.5 kg to pounds", {"value": 5.5, "from_unit": "kg", "to_unit": "pounds"}),
    (TIMER, "Set a timer for 7 minutes.", {"minutes": 7}), (TIMER, "Please start a timer of 25 minutes", {"minutes": 25}), (TIMER, "Can you set a 12 minute timer?", {"minutes": 12}), (TIMER, "Remind me in 40 minutes.", {"minutes": 40}),
    (TRANSLATE, "Translate 'good morning' to Spanish.", {"text": "good morning", "target_language": "Spanish"}), (TRANSLATE, "How do you say 'thank you' in Japanese?", {"text": "thank you", "target_language": "Japanese"}),
    (MAIL, "Send an email to olga@example.com with the subject Holiday", {"to": "olga@example.com", "subject": "Holiday"}),
    (LIGHT, "Switch on the lamp in the kitchen.", {"room": "kitchen", "on": True}), (LIGHT, "Turn off the lamp in the bedroom.", {"room": "bedroom", "on": False}), (LIGHT, "Turn the office lamp on, please.", {"room": "office", "on": True}),
    (STOCK, "What's the stock price of NVDA?", {"ticker": "NVDA"}), (STOCK, "How much is a share of TSLA?", {"ticker": "TSLA"}), (STOCK, "Tell me the current price of ORCL.", {"ticker": "ORCL"}),
    (PARCEL, "Where is my parcel 00340434?", {"parcel_number": "00340434"}), (PARCEL, "Track parcel JD0146", {"parcel_number": "JD0146"}), (PARCEL, "Please track the parcel with the number RX889.", {"parcel_number": "RX889"}),
    (BOOKING, "Book the room Curie for 2 hours.", {"room": "Curie", "hours": 2}), (BOOKING, "I need the room Turing for 3 hours", {"room": "Turing", "hours": 3}),
    (PLANT, "Water the plants in the zone north with 4 liters.", {"zone": "north", "liters": 4}), (PLANT, "Please give the plants in zone B 2.5 liters of water.", {"zone": "B", "liters": 2.5}),
    (TIME, "What time is it in Asia/Kolkata?", {"timezone": "Asia/Kolkata"}), (TIME, "Tell me the time in Europe/Madrid.", {"timezone": "Europe/Madrid"}), (TIME, "current time in UTC?", {"timezone": "UTC"}),
    (NOW, "What is today's date?", {}), (NOW, "Which date do we have today?", {}),
]

# Other tools and other people's words, written after the first set had been looked at; nothing was changed after looking at these.
L = {
    "recipe": tool("suggest_recipe", "Suggests something to cook from an ingredient", ingredient="string"),
    "multiply": tool("multiply", "Multiplies two numbers", x="number", y="number"),
    "web": tool("search_web", "Search the web and return the best results", query={"type": "string", "description": "Search terms"}),
    "forecast": tool("weather_forecast", "Forecast for the next days", location={"type": "string", "description": "City or region"}, days={"type": "integer", "description": "1 to 10"}),
    "shop": tool("add_to_cart", "Puts an article into the shopping cart", article="string", pieces="integer"),
    "read": tool("read_document", "Returns the text of a document", filename={"type": "string", "description": "Name with extension"}),
    "sms": tool("send_sms", "Sends a short message to a phone number", number={"type": "string"}, text={"type": "string"}),
    "event": tool("create_calendar_entry", "Creates an entry in the calendar", title="string", day="string"),
    "door": tool("unlock_door", "Unlocks one of the doors", door={"type": "string", "description": "front, back or garage"}),
    "money": tool("currency_rate", "Exchange rate between two currencies", base={"type": "string", "description": "such as EUR"}, quote={"type": "string"}),
    "heat": tool("set_room_temperature", "Heats a room to a temperature", room="string", celsius="number"),
    "train": tool("next_departures", "Next trains from a station", station="string"),
    "word": tool("explain_word", "Looks a word up in the dictionary", word="string"),
    "pet": tool("register_pet", "Registers an animal at the vet", pet_name="string", species={"type": "string", "enum": ["cat", "dog", "rabbit", "bird"]}),
    "disk": tool("free_disk_space", "How much room is left on the disk"),
    "joke": tool("random_joke", "Tells a joke"),
    "log": tool("show_log", "Shows the last lines of a log", service="string", lines="integer"),
    "hotel": tool("find_hotel", "Finds a hotel in a city", city="string", nights="integer"),
    "robot": tool("start_mower", "Starts the lawn mower for some minutes", minutes="integer"),
    "issue": tool("close_ticket", "Closes a ticket", ticket_id={"type": "integer", "description": "Number of the ticket"}),
}
OTHER = [
    ("recipe", "I have a lot of zucchini left, what could I make of it?", {"ingredient": "zucchini"}), ("recipe", "Any idea for dinner with chickpeas?", {"ingredient": "chickpeas"}),
    ("multiply", "What do you get when you multiply 37 by 482?", {"x": 37, "y": 482}), ("multiply", "12 times 15?", {"x": 12, "y": 15}), ("multiply", "Calculate 2.5 * 90", {"x": 2.5, "y": 90}),
    ("web", "Search the web for cheap electric scooters.", {"query": "cheap electric scooters"}), ("web", "google lunar eclipse 2027", {"query": "lunar eclipse 2027"}), ("web", "Look up volcano tours on the internet", {"query": "volcano tours"}),
    ("forecast", "How will the weather be in Ljubljana over the next 5 days?", {"location": "Ljubljana", "days": 5}), ("forecast", "I'd like a 3 day forecast for Bilbao.", {"location": "Bilbao", "days": 3}), ("forecast", "Forecast for Galway, 7 days", {"location": "Galway", "days": 7}),
    ("shop", "Put 3 tennis balls into my cart.", {"article": "tennis balls", "pieces": 3}), ("shop", "I want 2 flashlights, add them to the cart", {"article": "flashlights", "pieces": 2}),
    ("read", "What does contract_2024.docx say?", {"filename": "contract_2024.docx"}), ("read", "Please open the document minutes.odt", {"filename": "minutes.odt"}), ("read", "Show me the text of invoice-77.pdf", {"filename": "invoice-77.pdf"}),
    ("sms", "Text 0176554433: running late", {"number": "0176554433", "text": "running late"}), ("sms", "Send the message \"home at nine\" to 5550142", {"number": "5550142", "text": "home at nine"}),
    ("event", "Put yoga class in my calendar for Tuesday.", {"title": "yoga class", "day": "Tuesday"}), ("event", "New calendar entry on Friday: parents evening", {"title": "parents evening", "day": "Friday"}),
    ("door", "Can you open the garage door for me?", {"door": "garage"}), ("door", "Unlock the back door.", {"door": "back"}), ("door", "please unlock the front door", {"door": "front"}),
    ("money", "What's the exchange rate from USD to CHF?", {"base": "USD", "quote": "CHF"}), ("money", "How many NOK do I get for one EUR?", {"base": "EUR", "quote": "NOK"}),
    ("heat", "Make the bathroom 23 degrees warm.", {"room": "bathroom", "celsius": 23}), ("heat", "Set the temperature in the study to 19.5", {"room": "study", "celsius": 19.5}),
    ("train", "When does the next train leave from Utrecht?", {"station": "Utrecht"}), ("train", "Departures at Gare du Nord please", {"station": "Gare du Nord"}), ("train", "Which trains go from Bologna now?", {"station": "Bologna"}),
    ("word", "What does ubiquitous mean?", {"word": "ubiquitous"}), ("word", "Explain the word serendipity", {"word": "serendipity"}), ("word", "Look up petrichor in the dictionary.", {"word": "petrichor"}),
    ("pet", "Register my dog Balthus at the vet.", {"pet_name": "Balthus", "species": "dog"}), ("pet", "I have a new rabbit, her name is Flocke, please register her.", {"pet_name": "Flocke", "species": "rabbit"}),
    ("disk", "How much space is left on my disk?", {}), ("disk", "Is my disk full?", {}), ("joke", "Make me laugh!", {}), ("joke", "I'd like to hear a joke.", {}),
    ("log", "Show me the last 50 lines of the nginx log", {"service": "nginx", "lines": 50}), ("log", "Last 20 lines of the log of billing", {"service": "billing", "lines": 20}),
    ("hotel", "I need a hotel in Heidelberg for 4 nights.", {"city": "Heidelberg", "nights": 4}), ("hotel", "Find a hotel in Porto Alegre, 2 nights", {"city": "Porto Alegre", "nights": 2}),
    ("robot", "Mow the lawn for 35 minutes.", {"minutes": 35}), ("robot", "Let the mower run for 50 minutes", {"minutes": 50}),
    ("issue", "Ticket 8812 is solved, close it.", {"ticket_id": 8812}), ("issue", "Close ticket number 43", {"ticket_id": 43}), ("issue", "You can close 1207.", {"ticket_id": 1207}),
]
NO_TOOL = [("Hello!", [["Keyhole"]]), ("Who are you?", [["demo model"]]), ("Thanks!", [["welcome"]]), ("What is Keyhole?", [["chat app"]]), ("Which port does Keyhole use?", [["8080"]]),
           ("What can you do?", [["Keyhole"]]), ("Good morning", [["Keyhole"]]), ("What is the default port?", [["8080"]]), ("How do I drop a folder on the window?", [["context"]]),
           ("How many bytes does a token take in the cache?", [["54,144"]]), ("Bye!", [["bye"]]), ("How big is a page of the cache?", [["64"]]), ("How do I install Keyhole?", [["run.sh"]]),
           ("Is a GPU required?", [["optional"]]), ("Tell me who you are.", [["demo model"]]), ("Where are my conversations stored?", [["conversations.db"]])]
RESULTS = [(WEATHER, "What's the weather in Bergen?", {"city": "Bergen"}, '{"temperature": 9, "condition": "rain"}', [["9"], ["rain"]]),
           (ADD, "What is 20 plus 22?", {"a": 20, "b": 22}, "42", [["42"]]), (ADD, "Add 1.5 and 2", {"a": 1.5, "b": 2}, '{"result": 3.5}', [["3.5"]]),
           (CONVERT, "Convert 10 miles to km", {"value": 10, "from_unit": "miles", "to_unit": "km"}, "16.09", [["16.09"]]),
           (TIMER, "Set a timer for 5 minutes", {"minutes": 5}, "ok", [["done"]]), (FILES, "Find the file notes.txt", {"query": "notes.txt"}, '["docs/notes.txt", "old/notes.txt"]', [["docs/notes.txt"], ["old/notes.txt"]]),
           (STOCK, "Price of IBM?", {"ticker": "IBM"}, '{"price": 251.3, "currency": "USD"}', [["251.3"]]), (PARCEL, "Where is the parcel 7788?", {"parcel_number": "7788"}, '{"status": "delivered", "city": "Ghent"}', [["delivered"], ["Ghent"]]),
           (TIME, "Time in UTC?", {"timezone": "UTC"}, "14:05", [["14:05"]]), (WEATHER, "How is the weather in Oulu?", {"city": "Oulu"}, "cloudy, -4 degrees", [["cloudy"], ["-4"]]),
           (WEATHER, "Weather in Quito", {"city": "Quito"}, '{"city": "Quito", "temperature": 17, "unit": "celsius", "condition": "sunny"}', [["17"], ["sunny"]]), (NOW, "What is the date today?", {}, "2031-05-17", [["2031-05-17"]])]
SMALL = [("Hello there, how do you do?", [["Keyhole", "fine"]]), ("hey", [["Keyhole"]]), ("Who am I speaking with?", [["demo model"]]), ("Are you ChatGPT or something else?", [["demo model"]]), ("What are you capable of?", [["Keyhole"]]),
         ("What's the capital of Mongolia?", [["demo model"]]), ("Write me a sonnet about autumn.", [["demo model"]]), ("Who painted the Mona Lisa?", [["demo model"]]), ("thank you so much", [["welcome"]]), ("see you tomorrow", [["bye"]]),
         ("Can you write a Java program?", [["demo model"]]), ("How many people live in Norway?", [["demo model"]]), ("What's your name?", [["demo"]]), ("good evening", [["Keyhole"]]), ("Explain the theory of relativity.", [["demo model"]]),
         ("How do I bake bread?", [["demo model"]])]


def main():
    r = random.Random(4242)
    sets = {"recall_250": recall(r, 700, 48), "recall_1000": recall(r, 3100, 72), "recall_4000": recall(r, 12600, 24), "tools": [], "no_tool": [], "tool_result": [], "small": []}
    for chosen, question, arguments in CALLS * 2:
        others = r.sample([t for t in ALL if t is not chosen and not (chosen in (TIME, NOW) and t in (TIME, NOW))], r.choice([0, 0, 1, 1, 2, 3]))
        tools = [chosen, *others]
        r.shuffle(tools)
        messages = [{"role": "user", "content": question}]
        if r.random() < 0.2:
            messages.insert(0, {"role": "system", "content": "You are a helpful assistant with tools."})
        sets["tools"].append({"tools": tools, "messages": messages, "call": {"name": chosen["function"]["name"], "arguments": arguments}})
    sets["tools_other"] = []
    q = random.Random(77)
    for name, question, arguments in OTHER:
        tools = [L[name], *q.sample([t for k, t in L.items() if k != name and {k, name} != {"web", "word"}], q.choice([0, 1, 2, 3]))]
        q.shuffle(tools)
        sets["tools_other"].append({"tools": tools, "messages": [{"role": "user", "content": question}], "call": {"name": L[name]["function"]["name"], "arguments": arguments}})
    for question, must in NO_TOOL:
        sets["no_tool"].append({"tools": r.sample(ALL, r.choice([1, 2, 3])), "messages": [{"role": "user", "content": question}], "call": None, "must": must})
    for chosen, question, arguments, text, must in RESULTS:
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": chosen["function"]["name"], "arguments": arguments}}]},
                    {"role": "tool", "content": text}]
        sets["tool_result"].append({"tools": [chosen, *r.sample([t for t in ALL if t is not chosen], r.choice([0, 1, 2]))], "messages": messages, "call": None, "must": must})
    for question, must in SMALL:
        sets["small"].append({"messages": [{"role": "user", "content": question}], "must": must})
    for name, items in sets.items():
        (HERE / f"{name}.jsonl").write_text("".join(json.dumps(i, ensure_ascii=False) + "\n" for i in items), encoding="utf-8")
        print(name, len(items))


if __name__ == "__main__":
    main()
