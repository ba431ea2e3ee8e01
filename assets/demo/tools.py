"""Conversations with tools: definitions, requests that need one, requests that need none, results and answers."""

import json
from pathlib import Path

import dialog
import words as w
from recall import cap, code, date, number, person, place, pseudo, thing, time


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


S, I, N, B = "string", "integer", "number", "boolean"
# names | descriptions | parameters (names, type, description, value) | requests; {0} is the first parameter's value.
FAMILIES = [
    (["get_weather", "weather", "fetch_weather", "getWeather", "weather_lookup", "current_weather", "get_current_weather"],
     ["Get the current weather of a city.", "Returns the weather for a place.", "Current weather", "Look up the weather in a given location"],
     [(["city", "location", "place", "town"], S, "The city", place)],
     ["What is the weather in {0}?", "weather in {0}", "How is the weather in {0} today?", "Is it raining in {0}?", "Tell me the weather for {0}.", "do I need an umbrella in {0}?", "What's it like outside in {0}?", "is it cold in {0} right now?", "how warm is it in {0}?", "Will it be sunny in {0}?"]),
    (["get_weather", "get_forecast", "forecast", "weather_forecast"], ["Weather forecast for a city and a number of days.", "Get the forecast"],
     [(["city", "location"], S, "City name", place), (["days", "num_days", "n_days"], I, "Number of days", lambda r: r.randint(1, 14))],
     ["What will the weather be in {0} for the next {1} days?", "{1} day forecast for {0}", "Give me the forecast for {0}, {1} days.", "forecast {0} {1} days please"]),
    (["get_weather", "get_temperature", "temperature"], ["Get the temperature in a city", "Returns the temperature of a place in the wanted unit."],
     [(["city", "location"], S, "City name", place), (["unit", "units"], S, "celsius or fahrenheit", pick("celsius", "fahrenheit"))],
     ["What is the temperature in {0} in {1}?", "How many degrees {1} is it in {0}?", "temperature of {0} in {1}", "How warm is it in {0}? Use {1}."]),
    (["add", "add_numbers", "sum", "addition", "calculate_sum"], ["Add two numbers.", "Returns the sum of a and b", "Adds numbers"],
     [(["a", "x", "first", "num1"], N, "First number", real), (["b", "y", "second", "num2"], N, "Second number", real)],
     ["What is {0} + {1}?", "Add {0} and {1}.", "{0} plus {1}", "what is the sum of {0} and {1}?", "How much is {0} plus {1}?", "please add {0} to {1}", "compute {0}+{1}", "calculate {0} + {1}", "give me the sum of {0} and {1}", "the total of {0} and {1}?", "add up {0} and {1}", "what does {0} plus {1} make?", "what are {0} and {1} together?",
      "find the sum of {0} and {1}", "{0} added to {1}", "I have {0} and get {1} more, how much is that?", "sum up {0} and {1}", "tell me what {0} plus {1} is", "one bill is {0}, the other {1}; what is the total?", "what do I get for {0}+{1}?", "compute the sum of the numbers {0} and {1}", "put {0} and {1} together", "{0} and {1}, added"]),
    (["multiply", "multiply_numbers", "product", "mul"], ["Multiply two numbers.", "Returns the product of two numbers"],
     [(["a", "x", "first"], N, "First factor", real), (["b", "y", "second"], N, "Second factor", real)],
     ["What is {0} times {1}?", "Multiply {0} by {1}.", "{0} * {1}", "{0} x {1} = ?", "the product of {0} and {1}?", "how much is {0} times {1}?", "give me {0} times {1}", "work out the product of {0} and {1}", "{0} multiplied by {1}", "tell me what {0} times {1} makes", "{0} boxes of {1} each, how many in all?"]),
    (["subtract", "subtract_numbers", "minus"], ["Subtract b from a.", "Difference of two numbers"],
     [(["a", "x"], N, "The number to subtract from", real), (["b", "y"], N, "The number to subtract", real)],
     ["What is {0} - {1}?", "{0} minus {1}", "how much is {0} minus {1}?", "compute {0} - {1}", "what is left of {0} without {1}?", "the difference of {0} and {1}", "{0} less {1}", "I have {0} and spend {1}, what remains?"]),
    (["divide", "divide_numbers"], ["Divide a by b.", "Quotient of two numbers"],
     [(["a", "x", "numerator"], N, "Numerator", real), (["b", "y", "denominator"], N, "Denominator", real)],
     ["What is {0} divided by {1}?", "Divide {0} by {1}.", "{0} / {1}", "how much is {0} divided by {1}?", "share {0} among {1}", "how often does {1} go into {0}?", "{0} over {1}", "give me {0} divided by {1}"]),
    (["calculate", "calculator", "evaluate", "eval_expression", "compute"], ["Evaluate a mathematical expression.", "A calculator.", "Computes an arithmetic expression"],
     [(["expression", "expr", "formula"], S, "The expression", expression)],
     ["What is {0}?", "Calculate {0}", "compute {0}", "{0} = ?", "How much is {0}?", "please work out {0}", "evaluate {0}", "solve {0}"]),
    (["search_files", "find_files", "file_search", "searchFiles"], ["Search for files that match a pattern.", "Find files by name", "Searches the file system"],
     [(["pattern", "query", "name", "glob"], S, "Pattern to look for", lambda r: r.choice([f"*.{r.choice(['py', 'md', 'txt', 'cpp', 'h', 'json', 'log'])}", filename(r), r.choice(w.NOUN), r.choice(w.NOUN) + "_*.txt", code(r)]))],
     ["Find files that match {0}", "search for files named {0}", "Where are the files {0}?", "look for {0} in my files", "Which files contain {0}?", "list all {0} files", "find {0} files", "Search my files for {0}.", "is there a file {0}?", "do I have {0} somewhere?", "I lost {0}, can you find it?", "see if {0} exists", "a search for {0}, please", "show me files with the name {0}", "in which folder is {0}?"]),
    (["search_files", "grep", "search_text", "search_in_folder"], ["Search files in a directory for a text.", "Find text in the files of a folder"],
     [(["query", "text", "pattern"], S, "What to search for", lambda r: r.choice([WORD(r), code(r), phrase(r)])), (["directory", "path", "folder"], S, "Directory to search in", lambda r: r.choice(["src", "docs", "/tmp", "/home/user", "tests", r.choice(w.NOUN), "/var/log", "."]))],
     ["Search for {0} in {1}", "find {0} in the folder {1}", "look for {0} in the directory {1}", "Which files in {1} contain {0}?", "grep {0} in {1}"]),
    (["read_file", "open_file", "get_file", "cat"], ["Read a file.", "Returns the content of a file", "Open a file and return its text"],
     [(["path", "file", "filename", "file_path"], S, "Path of the file", filename)],
     ["Read {0}", "open the file {0}", "Show me {0}", "What is in {0}?", "what does the file {0} contain?", "print {0}", "display the contents of {0}"]),
    (["write_file", "save_file", "create_file"], ["Write text to a file.", "Create a file with the given content"],
     [(["path", "filename", "file"], S, "Path of the file", filename), (["content", "text", "data"], S, "Text to write", phrase)],
     ["Write '{1}' to {0}", "Save the text {1} to {0}", "Create the file {0} with the content {1}", 'put "{1}" into {0}']),
    (["delete_file", "remove_file"], ["Delete a file.", "Removes a file from disk"], [(["path", "filename"], S, "Path", filename)],
     ["Delete {0}", "remove the file {0}", "please delete {0}", "get rid of {0}", "erase {0}"]),
    (["list_files", "list_directory", "ls"], ["List the files of a directory.", "Shows what is in a folder"],
     [(["path", "directory", "folder"], S, "Directory", lambda r: r.choice(["src", "docs", "/tmp", "/home/user", "tests", r.choice(w.NOUN), "/etc"]))],
     ["What is in the folder {0}?", "list {0}", "Show me the files in {0}", "list the directory {0}", "which files are in {0}?"]),
    (["convert_units", "convert", "unit_converter", "convert_unit"], ["Convert a value from one unit to another.", "Unit conversion"],
     [(["value", "amount", "quantity"], N, "Value to convert", real), (["from_unit", "from", "source_unit"], S, "Unit of the value", UNIT), (["to_unit", "to", "target_unit"], S, "Wanted unit", UNIT)],
     ["Convert {0} {1} to {2}.", "How many {2} are {0} {1}?", "{0} {1} in {2}", "what is {0} {1} in {2}?", "how much is {0} {1} in {2}?", "change {0} {1} into {2}"]),
    (["convert_currency", "currency_converter", "exchange"], ["Convert money from one currency to another.", "Currency conversion"],
     [(["amount", "value"], N, "Amount of money", real), (["from_currency", "from", "source"], S, "Source currency", CURRENCY), (["to_currency", "to", "target"], S, "Target currency", CURRENCY)],
     ["Convert {0} {1} to {2}.", "How much is {0} {1} in {2}?", "{0} {1} in {2}", "exchange {0} {1} for {2}"]),
    (["set_timer", "start_timer", "timer", "create_timer"], ["Set a timer.", "Start a countdown timer of some minutes", "Starts a timer"],
     [(["minutes", "duration", "duration_minutes"], I, "Length in minutes", lambda r: r.choice([1, 2, 3, 5, 10, 15, 20, 25, 30, 45, 60, 90, r.randint(1, 120)]))],
     ["Set a timer for {0} minutes.", "timer {0} minutes", "Start a {0} minute timer", "remind me in {0} minutes", "wake me in {0} minutes", "count down {0} minutes", "please set a {0}-minute timer", "I need a timer of {0} minutes"]),
    (["set_timer", "start_timer", "countdown"], ["Set a timer in seconds.", "Start a countdown"],
     [(["seconds", "duration", "duration_seconds"], I, "Length in seconds", lambda r: r.randint(5, 600)), (["label", "name", "title"], S, "Name of the timer", lambda r: r.choice(w.FOOD + w.NOUN))],
     ["Set a timer of {0} seconds called {1}", "{0} seconds timer for {1}", "start a {1} timer for {0} seconds"]),
    (["set_alarm", "create_alarm", "alarm"], ["Set an alarm at a time.", "Alarm clock"], [(["time", "at", "when"], S, "Time of the alarm", time)],
     ["Set an alarm for {0}.", "wake me up at {0}", "alarm at {0}", "I have to get up at {0}", "please wake me at {0}"]),
    (["create_reminder", "add_reminder", "remind", "set_reminder"], ["Create a reminder.", "Remind the user of something at a time"],
     [(["text", "message", "title"], S, "What to remember", phrase), (["time", "when", "at"], S, "When", time)],
     ["Remind me to {0} at {1}.", "reminder: {0} at {1}", "Set a reminder for {1}: {0}", "at {1} remind me of {0}"]),
    (["send_email", "email", "send_mail"], ["Send an email.", "Sends a mail to an address"],
     [(["to", "recipient", "address"], S, "Address of the recipient", email), (["subject", "title"], S, "Subject line", lambda r: phrase(r)), (["body", "text", "message"], S, "Text of the mail", phrase)],
     ["Send an email to {0} with the subject {1} and the text {2}", "email {0}, subject: {1}, body: {2}", "write a mail to {0} about {1}: {2}"]),
    (["send_message", "message", "text", "send_sms"], ["Send a message to a person.", "Sends a text message"],
     [(["to", "recipient", "person", "contact"], S, "Name of the person", PERSON), (["text", "message", "content"], S, "The message", phrase)],
     ["Send a message to {0}: {1}", "Tell {0}: {1}", "text {0} that {1}", "message {0} {1}", "Write to {0}: {1}", "send {0} the message {1}"]),
    (["get_time", "current_time", "get_current_time", "time_in"], ["Get the current time in a place.", "Returns the local time of a city or time zone"],
     [(["city", "timezone", "location", "zone"], S, "City or time zone", TIMEZONE)],
     ["What time is it in {0}?", "time in {0}", "current time {0}", "How late is it in {0} now?", "what's the time in {0}?"]),
    (["translate", "translate_text", "translation"], ["Translate a text into another language.", "Translates text"],
     [(["text", "content"], S, "Text to translate", phrase), (["language", "target_language", "to", "target"], S, "Target language", pick("French", "German", "Spanish", "Italian", "Swedish", "Polish", "Japanese", "Chinese", "Greek", "Latin", "Turkish", "Korean"))],
     ["Translate '{0}' to {1}.", "How do you say {0} in {1}?", "translate {0} into {1}", 'what is "{0}" in {1}?']),
    (["web_search", "search", "search_web", "google"], ["Search the web.", "Searches the internet for a query"],
     [(["query", "q", "search_term"], S, "What to search for", lambda r: r.choice([phrase(r), thing(r), person(r) + " " + r.choice(w.JOB)]))],
     ["Search the web for {0}", "google {0}", "look up {0} on the internet", "search for {0}", "find information about {0}", "web search: {0}"]),
    (["get_stock_price", "stock_price", "quote"], ["Get the price of a stock.", "Current price of a share"], [(["symbol", "ticker"], S, "Ticker symbol", SYMBOL)],
     ["What is the price of {0}?", "stock price of {0}", "How is {0} doing?", "how much is a share of {0}?", "quote for {0}"]),
    (["play_music", "play_song", "play"], ["Play music.", "Plays a song or artist"], [(["song", "title", "query", "track"], S, "What to play", lambda r: r.choice([thing(r), person(r), " ".join(r.sample(w.CODEWORD, 2))]))],
     ["Play {0}", "play the song {0}", "I want to hear {0}", "put on {0}", "please play {0} for me"]),
    (["set_volume", "volume", "change_volume"], ["Set the volume.", "Change the loudness of the speaker"], [(["level", "volume", "percent"], I, "0 to 100", lambda r: r.randint(0, 100))],
     ["Set the volume to {0}", "volume {0}", "turn the volume to {0} percent", "make it {0} percent loud"]),
    (["set_light", "light", "switch_light", "toggle_light", "lights"], ["Switch a light on or off.", "Controls the lights of a room"],
     [(["room", "location"], S, "Room", pick("kitchen", "bedroom", "office", "garage", "cellar", "attic", "garden", "bathroom", "hall", "living room")), (["on", "state", "enabled"], B, "true to switch on, false to switch off", pick(True, False))],
     ["Turn {1} the light in the {0}.", "switch {1} the {0} light", "lights {1} in the {0}", "{0} light {1} please", "Turn the {0} lights {1}"]),
    (["set_temperature", "thermostat", "set_thermostat", "heating"], ["Set the temperature of a room.", "Controls the heating"],
     [(["temperature", "degrees", "value"], N, "Temperature in degrees", lambda r: r.choice([r.randint(15, 28), round(r.uniform(15, 28), 1)])), (["room", "location"], S, "Room", pick("kitchen", "bedroom", "office", "garage", "bathroom", "hall", "living room"))],
     ["Set the {1} to {0} degrees", "make the {1} {0} degrees warm", "heat the {1} to {0}", "temperature in the {1} to {0}"]),
    (["create_event", "add_event", "schedule_meeting", "add_to_calendar"], ["Add an event to the calendar.", "Create a calendar entry"],
     [(["title", "name", "event"], S, "Title", lambda r: r.choice(["meeting with " + person(r), "lunch", "dinner with " + person(r), "dentist", phrase(r)])), (["date", "day", "when"], S, "Date", date)],
     ["Add {0} to my calendar on {1}.", "schedule {0} for {1}", "put {0} on {1} in the calendar", "new event: {0}, {1}", "plan {0} on {1}"]),
    (["book_table", "reserve_table", "make_reservation"], ["Book a table in a restaurant.", "Restaurant reservation"],
     [(["restaurant", "name", "place"], S, "Restaurant", lambda r: cap(WORD(r))), (["people", "guests", "party_size"], I, "Number of people", lambda r: r.randint(1, 12)), (["time", "when"], S, "Time", time)],
     ["Book a table at {0} for {1} people at {2}.", "reserve {0} for {1} at {2}", "table for {1} at {0}, {2}"]),
    (["get_user", "find_user", "lookup_user", "get_customer"], ["Find a user by id.", "Returns the data of a user"], [(["user_id", "id", "customer_id"], I, "Number of the user", integer)],
     ["Who is user {0}?", "show me user {0}", "get the user with id {0}", "look up user number {0}", "data of user {0}"]),
    (["get_order", "order_status", "track_order"], ["Get the status of an order.", "Where an order is"], [(["order_id", "order_number", "id"], S, "Order number", code)],
     ["Where is my order {0}?", "status of order {0}", "track order {0}", "what happened to order {0}?", "check the order {0}"]),
    (["run_command", "execute", "shell", "run_shell"], ["Run a shell command.", "Executes a command in the terminal"],
     [(["command", "cmd"], S, "The command", lambda r: r.choice(["ls -la", "git status", "make test", "df -h", "uname -a", "pytest", f"cat {filename(r)}", f"rm {filename(r)}", "python " + filename(r), f"git checkout {pseudo(r)}"]))],
     ["Run {0}", "execute {0}", "run the command {0}", "please run {0} in the terminal", "type {0} in the shell"]),
    (["roll_dice", "dice", "throw_dice"], ["Roll dice.", "Throws some dice with a number of sides"], [(["count", "n", "number"], I, "How many dice", lambda r: r.randint(1, 9)), (["sides", "faces"], I, "Sides of a die", pick(4, 6, 8, 10, 12, 20, 100))],
     ["Roll {0} dice with {1} sides", "throw {0} {1}-sided dice", "roll {0}d{1}"]),
    (["random_number", "get_random", "random_int"], ["Random number in a range.", "Returns a random integer between two numbers"], [(["min", "low", "from"], I, "Lowest", lambda r: r.randint(0, 20)), (["max", "high", "to"], I, "Highest", lambda r: r.randint(21, 1000))],
     ["Give me a random number between {0} and {1}.", "random number from {0} to {1}", "pick a number between {0} and {1}"]),
    (["get_distance", "distance", "route"], ["Distance between two places.", "How far it is from one city to another"], [(["from", "origin", "start"], S, "Start", place), (["to", "destination", "end"], S, "Destination", place)],
     ["How far is it from {0} to {1}?", "distance between {0} and {1}", "how many km from {0} to {1}?", "route from {0} to {1}"]),
    (["search_flights", "find_flights", "flights"], ["Search flights.", "Find flights between two cities on a date"], [(["from", "origin"], S, "From", place), (["to", "destination"], S, "To", place), (["date", "day"], S, "Date", date)],
     ["Find a flight from {0} to {1} on {2}", "flights {0} to {1}, {2}", "I want to fly from {0} to {1} on {2}"]),
    (["define_word", "dictionary", "define", "lookup_word"], ["Look up the definition of a word.", "Dictionary"], [(["word", "term"], S, "The word", lambda r: r.choice([WORD(r), pseudo(r)]))],
     ["What does {0} mean?", "define {0}", "definition of {0}", "meaning of the word {0}", "look up the word {0}"]),
    (["add_todo", "create_task", "add_task", "new_todo"], ["Add a task to the list.", "Create a todo"], [(["task", "title", "text", "item"], S, "The task", phrase)],
     ["Add {0} to my todo list", "new task: {0}", "todo: {0}", "put {0} on my list", "create a task to {0}"]),
    (["query_database", "run_sql", "sql"], ["Run an SQL query.", "Query the database"], [(["query", "sql"], S, "SQL", lambda r: f"SELECT {r.choice(['*', 'name', 'count(*)', 'id'])} FROM {r.choice(w.NOUN)}s" + r.choice(["", f" WHERE id = {r.randint(1, 999)}", f" LIMIT {r.randint(1, 99)}"]))],
     ["Run the query {0}", "execute {0}", "{0}", "run this sql: {0}"]),
    (["get_news", "news", "headlines"], ["Get the news about a topic.", "Latest headlines"], [(["topic", "subject", "category"], S, "Topic", lambda r: r.choice(w.NOUN + w.HOBBY + w.PLACE))],
     ["What is new about {0}?", "news about {0}", "latest headlines on {0}", "show me the news on {0}"]),
    (["get_date", "now", "get_current_date", "today"], ["Returns the current date.", "Get today's date and time"], [],
     ["What day is it today?", "what is the date?", "today's date", "which date is today?", "what time is it now?"]),
    (["get_joke", "tell_joke", "random_joke"], ["Returns a random joke.", "Tells a joke"], [], ["Tell me a joke.", "joke please", "make me laugh", "I want a joke"]),
    (["battery_status", "get_battery", "system_status", "get_status"], ["Status of the system.", "Returns the state of the battery"], [], ["How full is the battery?", "battery status", "what is the status?", "show the system status"]),
]

SUMS = [f for f in FAMILIES if f[0][0] in ("add", "multiply", "subtract", "divide")]     # what people try first

KINDS, ACTIONS, THINGS, WRITTEN = {}, {}, {}, []
# Words that lead to a name and are no part of it.
NAMED = ["the one called", "named", "called", "one named", "something called", "by the name of", "with the name", "that is called", "whose name is", "known as"]


def number_word(n):
    return ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"][n]


def some_url(r):
    return r.choice(["https://", "http://", "www.", ""]) + r.choice([pseudo(r), r.choice(w.NOUN)]) + r.choice([".com", ".org", ".net", ".de", ".io"]) + r.choice(["", "", f"/{r.choice(w.NOUN)}", f"/{pseudo(r)}/{r.randint(1, 99)}"])


def words_of(r, n):
    return " ".join(r.choice([r.choice(w.NOUN), r.choice(w.ADJ), r.choice(w.OBJECT), r.choice(w.FOOD), pseudo(r), r.choice(w.CODEWORD)]) for _ in range(n))


def title(r):
    text = r.choice([thing(r), words_of(r, r.choice([1, 2, 2, 3])), phrase(r), f"{r.choice(w.NOUN)} {r.randint(1, 99)}"])
    return r.choice([text, text.title(), cap(text), text.upper() if r.random() < 0.2 else text])


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
    "food": lambda r: r.choice([r.choice(w.FOOD), f"{r.choice(w.FOOD)} {r.choice(w.FOOD)}", f"{r.choice(w.FOOD)} with {r.choice(w.FOOD)}", pseudo(r)]), "product": lambda r: r.choice([thing(r), r.choice(w.OBJECT), r.choice(w.FOOD), cap(pseudo(r)), cap(pseudo(r)) + " " + str(r.randint(1, 99))]),
    "word": WORD, "host": lambda r: r.choice([some_url(r).split("/")[-1] or pseudo(r), f"{r.choice(w.NOUN)}-{r.randint(1, 99)}", f"10.0.{r.randint(0, 255)}.{r.randint(1, 255)}", pseudo(r)]),
    "login": lambda r: r.choice([r.choice(w.FIRST).lower(), pseudo(r), r.choice(w.FIRST).lower() + str(r.randint(1, 99)), f"{r.choice(w.FIRST).lower()}.{r.choice(w.LAST).lower()}", f"{pseudo(r)}_{r.randint(1, 99)}"]),
    "branch": lambda r: r.choice(["main", "develop", "release", f"feature/{pseudo(r)}", f"fix-{r.randint(1, 999)}", r.choice(w.NOUN), f"{r.choice(w.FIRST).lower()}/{r.choice(w.NOUN)}"]), "tag": lambda r: r.choice(w.NOUN + w.ADJ + [pseudo(r)]),
    "channel": lambda r: r.choice(["#", "", ""]) + r.choice(w.NOUN + [pseudo(r), "general", "random", "dev"]), "seat": lambda r: f"{r.randint(1, 40)}{r.choice('ABCDEF')}", "code": lambda r: code(r).replace(" ", ""),
    "zip": lambda r: str(r.randint(10000, 99999)), "animal": lambda r: r.choice(w.ANIMAL), "plant": lambda r: r.choice(w.PLANTWORD), "team": lambda r: r.choice([r.choice(w.PLACE), cap(pseudo(r)), f"{r.choice(w.COLOR).title()} {r.choice(w.ANIMAL).title()}s"]),
}


class Kind:
    """A kind of parameter: names, type, descriptions, values, and how a request states them."""

    def __init__(self, names, kind, texts, values, frames):
        self.names, self.type, self.texts, self.frames = names.split("/"), kind, [t for t in texts.split("/") if t], [f for f in frames.split("/") if f]
        self.enum = values.removeprefix("e!").split("|") if "|" in values else None
        self.closed = values.startswith("e!")
        self.value = (lambda r: r.choice(self.enum)) if self.enum else VALUES[values]


def read_toolkit():
    for line in (Path(__file__).with_name("toolkit.txt")).read_text(encoding="utf-8").split("\n"):
        if line[:2] in ("K ", "V ", "N ", "F "):
            fields = [x.strip() for x in line[2:].split(" | ")] if line[0] == "F" else line[2:].split("; ")
            if line[0] == "K":
                KINDS[fields[0]] = Kind(*fields[1:5], fields[5])
            elif line[0] == "V":
                ACTIONS[fields[0]] = (fields[1].split("/"), fields[2].split("/"))
            elif line[0] == "N":
                THINGS[fields[0]] = (fields[1].split(","), fields[2].split(","))
            else:
                WRITTEN.append((fields[0].split("/"), fields[1].split("/"), [k for k in fields[2].split(",") if k.strip("- ")], fields[3].split("/ ")))


read_toolkit()
FLAGS = [("urgent", "Whether it is urgent", "urgently", "not urgent"), ("private", "Keep it private", "privately", "publicly"), ("recursive", "Also in subfolders", "with subfolders", "without subfolders"),
         ("notify", "Tell the others", "and notify everybody", "without notification"), ("force", "Do it in any case", "by force", "without force"), ("round_trip", "Both ways", "and back", "one way"),
         ("breakfast", "With breakfast", "with breakfast", "without breakfast"), ("verbose", "Many details", "with all details", "without details"), ("repeat", "Again every day", "every day", "only once"),
         ("all", "All of them", "all of them", "not all of them"), ("gift", "Wrap as a gift", "as a gift", "not as a gift"), ("express", "Fast delivery", "by express", "by normal delivery")]


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


class Tool:
    """A tool: name, schema, params (name, type, value generator, required), and how to ask for it (ask)."""

    def __init__(self, r, name, text, params, required=None):
        """params: (name, type, description, value generator, values of an enum or None, required)."""
        self.name, self.params = name, params
        described = r.random() < 0.8
        properties = {}
        for n, kind, note, _, enum, _ in params:
            properties[n] = {"type": kind}
            if enum and (r.random() < 0.8):
                properties[n]["enum"] = enum
            if described and note:
                properties[n]["description"] = note
            if r.random() < 0.1:
                properties[n] = dict(reversed(properties[n].items()))
        f = {"name": name, "description": text}
        if r.random() < 0.05:
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
    """A tool with hand-written requests that name the parameters by position: {0}, {1}."""

    def __init__(self, r, family):
        names, texts, kinds, requests = family
        self.requests = requests
        params, seen = [], set()
        for i, k in enumerate(kinds):
            if isinstance(k, tuple):
                n, kind, note, value = r.choice(k[0]), k[1], k[2], k[3]
                enum = value.options if hasattr(value, "options") and len(value.options) < 7 else None
            else:
                own = k.split("=")
                k = KINDS[own[0]]
                n, kind, note, value, enum = own[1] if len(own) > 1 else r.choice(k.names), k.type, r.choice(k.texts or [""]), k.value, k.enum if k.closed else None
            if r.random() < 0.15:
                n = odd_key(r)
            n = n if n not in seen else f"{n}{i + 1}"
            seen.add(n)
            params.append((n, kind, note, value, enum, True))
        super().__init__(r, r.choice(names), r.choice(texts), params)

    def ask(self, r, strange=0.0):
        values = {n: value(r) for n, _, _, value, _, _ in self.params}
        values = self.unseen(r, values, strange)
        shown = [("on" if v else "off") if isinstance(v, bool) else v for v in values.values()]
        for i, (n, kind, *_) in enumerate(self.params):     # what kind of thing it is may stand before it, and is no part of it
            if kind == S and r.random() < 0.1:
                shown[i] = f"{r.choice([n.replace('_', ' '), n.replace('_', ' '), 'the ' + n.replace('_', ' '), r.choice(NAMED)])} {shown[i]}"
        return r.choice(self.requests).strip().format(*shown), values


class Composed(Tool):
    """A tool put together from a verb, a noun and kinds of parameters that go with it."""

    def __init__(self, r, taken=()):
        noun = r.choice(list(THINGS))
        kinds, verbs = THINGS[noun]
        verb = r.choice(verbs)
        if r.random() < 0.04:
            verb = r.choice(list(ACTIONS))
        texts, self.verbs = ACTIONS[verb]
        if r.random() < 0.08:       # nobody knows this thing: only the words themselves can tell
            noun = r.choice([pseudo(r), r.choice(w.OBJECT + w.NOUN + w.ANIMAL), f"{r.choice(w.ADJ)} {r.choice(w.OBJECT + w.NOUN)}"])
        if r.random() < 0.03:
            verb = pseudo(r)
            texts, self.verbs = [cap(verb), cap(verb) + "s"], [verb]
        self.noun = noun
        if r.random() < 0.5:
            self.verbs = [verb]
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
        text = r.choice(texts) + " " + r.choice(["a", "the", "a", "the", "one"] if plural == noun else ["the", "all", "some"]) + " " + plural + r.choice(["", "", ".", ".", " for the user.", " of the user"])
        if len(params) and r.random() < 0.15:
            text = text.rstrip(".") + r.choice([" by ", " with ", " given its "]) + " and ".join(n.replace("_", " ") for n, *_ in params[:2]) + "."
        super().__init__(r, name, text, params)

    def ask(self, r, strange=0.0):
        given = [p for p in self.params if p[5] or r.random() < 0.55]
        values = {n: value(r) for n, _, _, value, _, _ in given}
        values = self.unseen(r, values, strange)
        parts = []
        for n, v in values.items():
            k = self.kinds[n]
            if isinstance(k, tuple):
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
        noun = self.noun if r.random() < 0.9 else self.noun + "s"
        art = r.choice(["the", "the", "a", "my", "", "our", "this", "that"])
        core = f"{verb} {art} {noun}".replace("  ", " ")
        text = core + "".join(order)
        k = r.random()
        if k < 0.12 and parts and parts[0][0] not in ",:":
            text = f"{noun}{''.join(order)}"
        elif k < 0.35:
            text = r.choice(["can you ", "could you ", "please ", "I want to ", "I'd like to ", "I need to ", "would you ", "help me to ", "let's ", "you should ", "we have to ", "time to ", "go and "]) + text
        elif k < 0.4 and parts and parts[-1][0] == " ":
            text = r.choice(["", "okay, ", "so "]) + order[0].strip(" ,:") + r.choice([", ", ": "]) + core + "".join(order[1:])
        return text.replace(" ,", ","), values


def unseen(r):
    """A string value that is not in any list."""
    return r.choice([lambda: cap(pseudo(r)), lambda: cap(pseudo(r)), lambda: cap(pseudo(r) + pseudo(r)), lambda: pseudo(r), lambda: code(r),
                     lambda: pseudo(r) + r.choice([".txt", ".pdf", ".md", ".py", ".xlsx", "_" + r.choice(w.NOUN)]),
                     lambda: cap(pseudo(r)) + " " + cap(r.choice(w.NOUN)), lambda: f"{pseudo(r)} {r.choice(w.NOUN)}", lambda: words_of(r, r.choice([1, 2, 3]))])()


def draw(r):
    return Composed(r) if r.random() < 0.25 else Written(r, r.choice(FAMILIES + SUMS * 2 if r.random() < 0.6 else WRITTEN))


def draw_set(r, n):
    """n tools with different names. Now and then they share a verb or a noun, so that the other word decides."""
    out, names = [], set()
    while len(out) < n:
        t = draw(r)
        if t.name not in names and t.name.lower().split("_")[-1] not in {x.lower().split("_")[-1] for x in names} | ({"x"} if r.random() < 0.5 else set()):
            names.add(t.name)
            out.append(t)
    return out


def result(r, tool):
    """(tool's answer text, what the model says)."""
    k = r.random()
    if k < 0.4:
        fields = {key: r.choice([lambda: r.randint(-20, 999), lambda: r.choice(w.ADJ), lambda: round(r.uniform(0, 99), 1), lambda: place(r), lambda: person(r), lambda: code(r)])()
                  for key in r.sample(["temperature", "condition", "result", "status", "value", "city", "name", "count", "id", "price", "humidity", "wind", "time", "unit", "total", "message", r.choice(w.NOUN)], r.randint(1, 4))}
        return json.dumps(fields, ensure_ascii=False), "The result: " + ", ".join(f"{a} {b}" for a, b in fields.items()) + "."
    if k < 0.6:
        v = str(r.choice([real(r), integer(r), number(r)]))
        return v, f"The result is {v}."
    if k < 0.7:
        return r.choice([("ok", "Done."), ("OK", "Done."), ("done", "Done."), ("success", "Done."), ("true", "Done."), ('{"ok": true}', "Done."), ('{"status": "ok"}', "Done."), ('{"success": true}', "Done.")])
    if k < 0.78:
        e = r.choice(["not found", "timeout", "permission denied", "unknown city", "invalid argument", "no connection"])
        return r.choice([f"error: {e}", f'{{"error": "{e}"}}', f"Error: {e}"]), f"The tool reported an error: {e}."
    if k < 0.9:
        t = r.choice([lambda: phrase(r), lambda: f"{r.choice(w.ADJ)}, {r.randint(-10, 35)} degrees", lambda: f"{r.randint(-10, 35)} °C and {r.choice(w.ADJ)}", lambda: thing(r), lambda: date(r), lambda: person(r)])()
        return t, f"The result is: {t}."
    items = [filename(r) for _ in range(r.randint(1, 4))]
    return r.choice([json.dumps(items), "\n".join(items)]), "The result: " + ", ".join(items) + "."


def typed(r, q, arguments):
    """The request as somebody types it: what surrounds the values varies, they themselves stay."""
    texts = [str(v) for v in arguments.values()]
    starts, ends = any(q.startswith(v) for v in texts), any(q.endswith(v) for v in texts)
    if r.random() < 0.55 and not starts:
        q = cap(q)
    if q[-1] in "?." and not ends:
        if r.random() < 0.2:
            q = q[:-1]
    elif q[-1] not in ".!?":
        if r.random() < 0.07:
            q += r.choice([", please", " please", " for me", " now", ", thanks", ", will you", " if you can"])
        q += r.choice(["", "", "", "", ".", ".", ".", "!", "?"])
    return r.choice(POLITE).format(q=q)


POLITE = ["{q}", "{q}", "{q}", "{q}", "{q}", "{q}", "Please: {q}", "Hi! {q}", "Hey, {q}", "Could you help me? {q}", "{q} Thanks!", "I need something: {q}", "Use a tool: {q}", "Hello. {q}", "Can you do this: {q}", "I'd like to know: {q}", "Tell me: {q}", "One question: {q}", "Quick one: {q}", "Now: {q}", "{q} I need it for work.", "Next: {q}", "Be so kind: {q}"]
THOUGHTS = ["The user needs {n}. It takes {k}.", "The tool {n} can do this, with {k}.", "This needs the tool {n} with {k}."]


def think(r, name, arguments):
    """Why this call: the tool, and the names of the arguments to be given."""
    return r.choice(THOUGHTS).format(n=name, k=", ".join(arguments) or "nothing")


NO_TOOL = ["No tool is needed here.", "This needs no tool."]
RESULT = ["The tool answered. I report the result.", "I have the result of the tool."]


def call(name, arguments):
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def conversation(r, size, thinking=0.45, most_turns=6, answered=0.6, strange=0.0):
    """Tools are offered; most turns need one, some none. Turns are added until about `size` tokens are used.

    answered: share of calls after which the result comes and the conversation goes on.
    """
    n = r.choice([1, 1, 1, 2, 2, 3, 3, 4, 5]) if size > 300 else r.choice([1, 1, 2])
    offered = draw_set(r, n)
    messages = []
    if r.random() < 0.2:
        messages.append({"role": "system", "content": r.choice(dialog.SYSTEMS)})
    room = size - 190 - n * 75
    think_at_end = r.random() < thinking
    turns = 0
    while turns == 0 or (room > 60 and turns < most_turns):
        turns += 1
        room -= 70
        if r.random() < 0.22:
            q, a = dialog.plain(r, offered)
            messages += [{"role": "user", "content": q}, {"role": "assistant", "content": a, "reasoning_content": r.choice(NO_TOOL)}]
            continue
        t = r.choice(offered)
        q, arguments = t.ask(r, strange)
        q = typed(r, q, arguments)
        calls = [call(t.name, arguments)]
        if r.random() < 0.02 and t.params:
            q2, more = t.ask(r, strange)
            q, calls = q.rstrip("?.") + r.choice([" and ", ". Also: ", "; then "]) + q2, calls + [call(t.name, more)]
        messages += [{"role": "user", "content": q}, {"role": "assistant", "content": "", "tool_calls": calls, "reasoning_content": think(r, t.name, arguments)}]
        if r.random() < answered:
            said = []
            for _ in calls:
                text, answer = result(r, t)
                messages.append({"role": "tool", "content": text})
                said.append(answer)
            messages.append({"role": "assistant", "content": " ".join(said), "reasoning_content": r.choice(RESULT)})
        else:
            break
    last_user = max(i for i, m in enumerate(messages) if m["role"] == "user")
    for i, m in enumerate(messages):
        if not (think_at_end and i > last_user):
            m.pop("reasoning_content", None)
    return {"tools": [t.schema for t in offered], "messages": messages}


def about(r, offered):
    """A question about the tools themselves, and its answer: what is where in the definitions."""
    t = r.choice(offered)
    f = t.schema["function"]
    keys = list(f["parameters"]["properties"])
    k = r.random()
    if k < 0.12:
        return r.choice(["Which tools do you have?", "what tools are there?", "list your tools", "names of all tools?", "which functions can you call?"]), ", ".join(x.name for x in offered)
    if k < 0.45:
        return r.choice(["Which arguments does {n} take?", "arguments of {n}?", "what does {n} need?", "parameters of {n}", "what do I have to give to {n}?"]).format(n=t.name), ", ".join(keys) or "none"
    if k < 0.6 and "description" in f:
        return r.choice(["What does {n} do?", "what is {n} for?", "explain the tool {n}", "{n}?"]).format(n=t.name), f["description"]
    if k < 0.75 and keys:
        key = r.choice(keys)
        if sum(key in x.schema["function"]["parameters"]["properties"] for x in offered) == 1:
            return r.choice(["Which tool has the argument {n}?", "who needs {n}?", "{n} belongs to which tool?"]).format(n=key), t.name
    text = r.choice([f.get("description", t.name), t.name.replace("_", " "), *t.requests_seen(r)])
    return r.choice(["Which tool is for this: {d}", "which tool would you use? {d}", "tool for: {d}", "name the tool: {d}"]).format(d=text), t.name


def once(r, size, thinking=0.4, strange=0.5, short=0.0, asked=0.1):
    """Several tools, each used once or twice, mostly for the first time: names of arguments must be looked up, not copied from above.

    Most results are left out ("open" calls), which leaves more room for calls; the last one ends with its stop token.
    """
    short = r.random() < short
    n = max(1, min(6, int((size - (20 if short else 150)) // 115)))
    n = r.randint(max(1, n - 1), n)
    offered = draw_set(r, n)
    messages = [{"role": "system", "content": r.choice(dialog.SYSTEMS)}] if r.random() < 0.15 else []
    order = r.sample(offered, r.randint(max(1, n - 1), n))
    if r.random() < 0.3:        # a second time: the tool has to be chosen again, its form can be seen above
        order += r.sample(offered, n)
    for t in order:
        while r.random() < asked:
            q, a = about(r, offered)
            messages += [{"role": "user", "content": q}, {"role": "assistant", "content": a}]
        while r.random() < 0.15:
            q, a = dialog.plain(r, offered)
            messages += [{"role": "user", "content": q}, {"role": "assistant", "content": a}]
        q, arguments = t.ask(r, strange)
        q = typed(r, q, arguments)
        messages += [{"role": "user", "content": q}, {"role": "assistant", "content": "", "tool_calls": [call(t.name, arguments)]}]
        if r.random() < 0.3:
            text, answer = result(r, t)
            messages += [{"role": "tool", "content": text}, {"role": "assistant", "content": answer}]
        else:
            messages[-1]["open"] = True
    if r.random() < 0.15:
        q, a = dialog.plain(r, offered)
        messages += [{"role": "user", "content": q}, {"role": "assistant", "content": a}]
    last = messages[-1]
    last.pop("open", None)
    if r.random() < thinking:
        last["reasoning_content"] = (think(r, order[-1].name, arguments) if last.get("tool_calls") else r.choice(NO_TOOL)
                                     if messages[-2]["role"] == "user" else r.choice(RESULT))
    return {"tools": [t.schema for t in offered], "messages": messages, "short": short}


def choose(r, size):
    """Many tools without parameters, in few words, and many requests: only the choice is to be learned."""
    n = r.randint(2, max(2, min(9, int(size // 60))))
    offered = draw_set(r, n)
    for t in offered:
        f = t.schema["function"]
        f["parameters"] = {"type": "object", "properties": {}}
        if r.random() < 0.3:
            f.pop("description", None)
    messages = [{"role": "system", "content": r.choice(dialog.SYSTEMS)}] if r.random() < 0.1 else []
    room = size - 35 * n
    while room > 0 or not messages or messages[-1]["role"] != "assistant":
        t = r.choice(offered)
        q = typed(r, *t.ask(r, 0.1))
        messages += [{"role": "user", "content": q}, {"role": "assistant", "content": "", "tool_calls": [call(t.name, {})], "open": True}]
        room -= 28
    messages[-1].pop("open")
    return {"tools": [t.schema for t in offered], "messages": messages, "short": r.random() < 0.6}


def plain_word(r):
    return r.choice([r.choice(w.NOUN), r.choice(w.OBJECT), r.choice(w.ANIMAL), r.choice(w.ADJ), r.choice(w.VERB), r.choice(w.FOOD), pseudo(r)])


ANY_VALUE = {S: lambda r: r.choice([plain_word(r), plain_word(r), words_of(r, 2), words_of(r, 3), place(r), person(r), code(r), filename(r), date(r), time(r), email(r)]),
             I: integer, N: real, B: lambda r: r.random() < 0.5}
KEYS = sorted({n for k in KINDS.values() for n in k.names})
BINDS = ["{n} {v}", "{n} {v}", "{n}: {v}", "call {n} with {v}", "use {n} for {v}", "run {n} on {v}", "I want {n} with {v}", "{v} for {n}", "take {v} and {n} it", "please {n} {v}", "{n} should get {v}", "do {n}, {v}", "what is {n} of {v}?", "give {v} to {n}"]


def bind(r, size):
    """Tools with arbitrary names and keys, each asked for about once, by its name: which keys belong to it must be looked up.

    From bare definitions, where name and keys are close to each other, to complete ones."""
    full = r.choice([0, 0, 1, 1, 2, 2, 2, 2])
    n = r.randint(2, max(2, min(8, int(size // (55, 105, 135)[full]))))
    common = plain_word(r) if r.random() < 0.2 else None
    offered, used, names = [], [], set()
    while len(offered) < n:
        words_ = [plain_word(r) for _ in range(r.choice([1, 1, 2, 2]))]
        if common:
            words_.insert(r.randrange(2), common)
        name = "_".join(words_) if r.random() < 0.6 else spell(r, words_)
        if name in names:
            continue
        names.add(name)
        properties = {}
        for _ in range(r.choice([0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4])):
            key = r.choice(used) if used and r.random() < 0.15 else r.choice(KEYS) if r.random() < 0.5 else plain_word(r) if r.random() < 0.7 else f"{plain_word(r)}_{plain_word(r)}"
            properties[key] = {"type": r.choice([S, S, S, S, I, I, N, B])}
            if full == 2 and r.random() < 0.6:
                properties[key]["description"] = cap(words_of(r, r.choice([1, 2, 3, 4, 6, 8])) + r.choice(["", "", ".", f", e.g. {words_of(r, 1)}"]))
        used += properties
        f = {"name": name}
        if full == 2 and r.random() < 0.8:
            f["description"] = cap(words_of(r, r.randint(1, 7)) + r.choice(["", "."]))
        f["parameters"] = {"type": "object", "properties": properties} if full else properties
        if full and r.random() < 0.8:
            f["parameters"]["required"] = list(properties)
        offered.append({"type": "function", "function": f} if full else f)
    messages = []
    order = r.sample(offered, n)
    for t in order + (r.sample(offered, 1) if r.random() < 0.3 else []):
        f = t.get("function", t)
        properties = f["parameters"]["properties"] if full else f["parameters"]
        name = f["name"]
        if r.random() < 0.12:
            messages += [{"role": "user", "content": r.choice(["keys of {n}?", "arguments of {n}", "what does {n} need?", "{n} takes what?"]).format(n=name)},
                         {"role": "assistant", "content": ", ".join(properties) or "none"}]
            continue
        arguments = {key: ANY_VALUE[x["type"]](r) for key, x in properties.items()}
        parts = [(f"{key}{r.choice([' ', '=', ': '])}" if r.random() < 0.12 else "") + (str(v).lower() if isinstance(v, bool) else str(v)) for key, v in arguments.items()]
        said_name = name if r.random() < 0.7 else name.replace("_", " ")
        q = r.choice(BINDS).format(n=said_name, v=r.choice([", ", " and ", ", ", " "] if not any(" " in x for x in parts) else [", ", " and "]).join(parts)) if parts else r.choice(["{n}", "call {n}", "{n} please", "do {n}", "use {n}"]).format(n=said_name)
        messages += [{"role": "user", "content": typed(r, q, arguments | {"": name})},
                     {"role": "assistant", "content": "", "tool_calls": [call(name, arguments)], "open": True}]
    last = messages[-1]
    last.pop("open", None)
    if last.get("tool_calls") and r.random() < 0.4:
        f = last["tool_calls"][0]["function"]
        last["reasoning_content"] = think(r, f["name"], f["arguments"])
    return {"tools": offered, "messages": messages, "short": r.random() < 0.6}
