"""Word lists from which the generators build names, facts and filler prose. Written for this model."""


def _w(text):
    return text.split()


FIRST = _w("""Anna Ben Clara David Emma Felix Greta Henry Ivy Jack Karin Leo Maria Noah Olivia Paul Quinn Rosa Sam Tina
Uma Victor Wendy Xavier Yara Zoe Alice Bob Carol Dan Eve Frank Grace Hugo Irene John Kate Lucas Mia Nina Oscar Peter
Rachel Simon Tom Ursula Vera Walter Amir Bella Chen Diego Elena Farah Goran Hana Igor Jana Kofi Lars Mei Nadia Omar
Priya Ravi Sofia Tariq Yuki Zara Arthur Beatrice Caleb Daisy Edward Fiona George Hannah Isaac Julia Kevin Laura Marcus
Nora Owen Petra Ralph Sarah Theo Violet William Abigail Boris Cecilia Dmitri Esther Fernando Gloria Harold Ingrid Jonas""")
LAST = _w("""Smith Miller Garcia Novak Keller Tanaka Brown Lopez Weber Larsen Okafor Patel Rossi Silva Dubois Kim Adams
Baker Carter Dawson Evans Fisher Grant Hughes Irving Jensen Knight Lewis Morris Nelson Olsen Parker Reed Stone Turner
Walker Young Berg Costa Duarte Ferrari Huang Ivanov Kowalski Lindgren Moreau Petrov Romano Schmidt Torres Vargas""")
PLACE = _w("""Oslo Paris Berlin Madrid Rome Vienna Prague Warsaw Lisbon Dublin London Athens Helsinki Stockholm Budapest
Zurich Geneva Munich Hamburg Milan Naples Porto Seville Lyon Nice Boston Chicago Denver Seattle Austin Dallas Miami
Toronto Montreal Vancouver Lima Bogota Santiago Havana Cairo Nairobi Lagos Accra Tunis Dakar Delhi Mumbai Tokyo Osaka
Kyoto Seoul Beijing Shanghai Bangkok Hanoi Manila Jakarta Sydney Melbourne Perth Auckland Istanbul Ankara Dubai Moscow
Kiev Riga Vilnius Tallinn Reykjavik Bergen Aarhus Malta Iceland Norway Sweden Finland Spain Italy France Germany Poland
Japan China India Brazil Chile Peru Mexico Canada Kenya Egypt Turkey Greece Portugal Austria Ireland Scotland""")
COLOR = _w("""red blue green yellow orange purple black white grey brown pink silver golden crimson turquoise violet teal
beige amber scarlet indigo ivory copper bronze""")
ANIMAL = _w("""cat dog horse rabbit parrot goat fox wolf bear otter owl eagle falcon heron turtle lizard hamster pony
donkey sheep cow duck goose swan penguin whale dolphin seal shark tiger lion panther leopard elephant giraffe zebra
monkey beaver badger hedgehog squirrel raven crow sparrow robin frog toad snake crab lobster octopus bee spider""")
FOOD = _w("""pizza pasta rice soup salad bread cheese honey chocolate apple banana cherry mango lemon peach pear plum
grape melon tomato potato onion carrot cabbage spinach mushroom pepper garlic ginger cinnamon vanilla coffee tea cocoa
juice milk butter yogurt pancake waffle noodle dumpling curry stew pie cake cookie biscuit muffin sandwich burger""")
OBJECT = _w("""cabinet box door key drawer locker safe vault chest suitcase bag backpack bottle lamp table chair desk shelf
book notebook letter map painting mirror clock watch ring necklace crown coin ticket camera phone laptop printer
keyboard monitor server router cable battery engine machine robot drone car truck bus train bicycle boat ship plane
rocket tractor elevator bridge tower castle museum library school hospital factory warehouse office garage garden
kitchen bedroom cellar attic barn greenhouse laboratory telescope microscope compass lantern umbrella blanket pillow
carpet curtain window gate fence wall roof chimney fountain statue piano guitar violin drum flute trumpet hammer
screwdriver ladder bucket rope knife spoon fork plate cup kettle oven fridge heater fan pump valve pipe tank turbine
generator antenna satellite sensor switch button lever wheel gear spring magnet crystal stone diamond pearl feather
parcel package envelope folder archive document report contract invoice recipe diary manual poster flag""")
ADJ = _w("""old new small large big tiny huge heavy light broken wooden metal plastic glass rusty shiny dusty clean dirty
empty full open closed hidden secret public private main second third first last left right upper lower inner outer
northern southern eastern western central local remote modern ancient cheap expensive quiet loud bright dark warm cold
soft hard round square long short narrow wide deep spare backup temporary permanent digital electric mechanical
internal external original digital annual weekly daily monthly happy sad gentle strange famous unknown royal""")
JOB = _w("""teacher doctor nurse baker carpenter plumber pilot sailor captain farmer gardener painter writer singer dancer
actor engineer programmer scientist chemist physicist librarian lawyer judge soldier detective cook waiter driver
mechanic electrician architect designer photographer journalist translator professor student manager director""")
HOBBY = _w("""chess football tennis golf hockey swimming running cycling hiking climbing sailing fishing skiing skating
dancing singing painting drawing reading writing cooking baking gardening knitting photography archery fencing judo""")
SUBJECT = _w("""colour color number animal food drink song book film movie city country season month day sport game flower
tree bird fruit vegetable dessert band singer author painter subject language instrument planet hobby toy place""")
MONTH = _w("January February March April May June July August September October November December")
DAY = _w("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
LANGUAGE = _w("""Rust Python C++ Java Go Swift Kotlin Ruby Haskell Scala Erlang Lua Perl Zig English French German Spanish
Italian Swedish Polish Turkish Arabic Hindi Japanese Chinese Korean Greek Latin""")
INSTRUMENT = _w("piano guitar violin drum flute trumpet cello harp clarinet oboe saxophone organ accordion banjo")
PLANTWORD = _w("""oak maple birch willow pine cedar rose tulip lily daisy orchid lavender jasmine ivy fern moss clover""")
MATERIAL = _w("wood steel glass paper cotton silk wool leather copper brass iron gold silver stone clay rubber")
CODEWORD = _w("""falcon thunder marble harbor velvet ember glacier meadow saffron cobalt lantern juniper obsidian comet
nectar pebble tundra zephyr quartz willow bramble cinder dolphin eclipse granite horizon jigsaw kestrel lagoon mosaic
nebula orchard paprika quiver rhubarb sapphire trellis umbra vortex walnut yonder zenith anchor blossom cascade drizzle
everest fjord gazelle hazel island jasper kingfisher lilac mango nutmeg onyx pelican raindrop sunflower topaz avocado
butterfly cactus domino elephant firefly gondola hurricane iguana jackfruit koala lemonade moonlight nightingale
pineapple rainbow snowflake tangerine volcano waterfall xylophone yellowstone zigzag banana""")
ADVERB = _w("""slowly quickly quietly carefully often rarely sometimes always never usually again soon later early late
together alone yesterday today tomorrow already almost nearly finally suddenly simply clearly badly well gently""")
PAST = _w("""opened closed moved carried found lost bought sold painted cleaned repaired broke built designed tested measured
watched followed visited left entered described explained mentioned remembered forgot noticed checked counted ordered
delivered received sent wrote read signed copied printed stored collected borrowed returned stole hid covered wrapped
filled emptied heated cooled washed dried cut folded pushed pulled lifted dropped threw caught held touched loved hated""")
NOUN = _w("""time year people way day man thing woman life child world school state family student group country problem
hand part place case week company system program question work government number night point home water room mother
area money story fact month lot right study book eye job word business issue side kind head house service friend father
power hour game line end member law car city community name president team minute idea body information back parent
face others level office door health person art war history party result change morning reason research girl guy moment
air teacher force education foot boy age policy process music market sense nation plan college interest death experience
effect use class control field development role student weather river mountain forest valley lake island beach road
street village town market square station airport harbour winter summer spring autumn rain snow wind storm cloud sun
moon star sky earth fire light shadow dream voice sound noise silence smell taste color shape size weight height length
distance speed temperature pressure energy signal message letter page chapter sentence paragraph title list table figure
file folder function variable value key index loop test error warning release version branch commit module package
library interface client request response token model layer memory cache thread process kernel driver device user""")
VERB = _w("""be have do say get make go know take see come think look want give use find tell ask work seem feel try leave call
need become put mean keep let begin help talk turn start show hear play run move like live believe hold bring happen
write provide sit stand lose pay meet include continue set learn change lead understand watch follow stop create speak
read allow add spend grow open walk win offer remember love consider appear buy wait serve die send expect build stay
fall cut reach kill remain suggest raise pass sell require report decide pull return explain hope develop carry break
receive agree support hit produce eat cover catch draw choose wear forget fix measure compare connect install remove
delete update download upload print copy paste select search sort filter count convert translate compute calculate
multiply divide subtract schedule remind book order cancel check verify translate play pause mute lock unlock""")
FUNC = _w("""the of and a to in is you that it he was for on are as with his they I at be this have from or one had by but
not what all were we when your can said there use an each which she do how their if will up other about out many then
them these so some her would make like him into time has look two more write go see number no way could people my than
first water been call who its now find long down day did get come made may part over new sound take only little work
know place year live me back give most very after thing our just name good sentence man think say great where help
through much before line right too mean old any same tell boy follow came want show also around form three small set
put end does another well large must big even such because turn here why ask went men read need land different home us
move try kind hand picture again change off play spell air away animal house point page letter mother answer found
study still learn should world please thank sorry hello hi hey okay yes""")

# Sentences with slots: {n} noun, {N} first name, {a} adjective, {o} object, {v} past verb, {p} place, {c} colour, {d} adverb,
# {m} month, {k} small number, {s} pseudo-word, {f} food, {j} job, {t} animal.
PROSE = """The {a} {o} near the {n} was {v} by {N} in {m}.
{N} and {N} talked about the {n} for {k} hours.
In {p} the {n} is {a} and the {o} are {a}.
Nobody knew why the {t} had {v} the {o}.
It was a {a} {n}, and the {c} {o} stood beside the {a} {o}.
They {d} {v} the {o}, but the {n} stayed {a}.
Every {n} has a {a} {n}, said {N}.
A {j} from {p} {v} the {a} {o} {d}.
The {n} of the {n} was {a}, so {N} went home.
There were {k} {a} boxes and one {c} {o} in the {n}.
When the {n} came, the {j} {v} a {a} {o}.
Most people think that the {n} is {a}, yet it can be {a} too.
We {v} the {n} {d} and wrote a short {n} about it.
The {t} and the {t} slept under the {a} {o}.
{N} likes {f} with {f}, while {N} would rather have {f}.
On the way to {p} the {j} {v} {k} {o}s.
This {n} describes the {a} {n} and its {n}.
If the {n} is {a}, the {o} should be {v} first.
After the {n}, {N} {v} the {c} {o} and left.
The {j} said that the {n} would be {a} by {m}.
I do not remember the {n}, but the {o} was {c}.
Some of the {n} was lost, and the rest was {v} {d}.
The road to {p} is {a} and passes a {a} {n}.
A {c} {t} sat on the {o} and looked at the {n}.
Later the {n} was moved to a {a} {n} in {p}.
What {N} said about the {n} was not quite {a}.
He had never seen such a {a} {n} before.
She {v} the {o}, then {v} the {o}, and then went to the {n}.
The {n} starts in {m} and ends in {m}.
You can find a {a} {n} next to the {o}.
Without a {n} there is no {n}.
The weather was {a}, and the {n} smelled of {f}.
{s} {s} {v} the {s} and the {s}.
The {s} of {s} is {a} and {s}.
Our {n} has grown to {k} members since {m}.
The {n} is a {a} place for a {j}.
It took {k} days to get the {o} from {p} to {p}.
The museum in {p} shows a {a} {o} and {k} {a} coins.
Each {n} depends on the {n} before it.
The committee {v} the {n} and asked {N} for a new {n}.""".split("\n")

README = """# {s}
## {A}
A {a} tool for {n} and {n}.
- {a} {n}
- fast {n} for every {n}
Install it with `pip install {s}`.
Run `{s} --{n} {k}` to start the {n}.
## {A} and {n}
See the {n} in `docs/{s}.md` for more about the {n}.
1. Open the {n}.
2. Set the {n} to {k}.
* The {n} is {a} by default.
| {n} | {n} |
> Note that the {n} is {a}.
This project is {a}. It needs a {n} and a {n}.
Pull requests about the {n} are welcome.
The {n} is read from `{s}.toml`.""".split("\n")

CODE = """def {s}({n}, {n}):
    return {n} + {k}
    {n} = {s}({k})
for (int i = 0; i < {k}; i++) {{
    {s}.{n}({n}, {k});
}}
import {s}
if {n} > {k}:
    raise ValueError("{a} {n}")
const {s} = {{ {n}: {k}, {n}: "{a}" }};
// the {n} must be {a}
# {v} the {n} {d}
class {S}:
    # a {a} {n}
int {s}_{n} = {k};
std::vector<{S}> {n}s;
print(f"{{{n}}} {a}")
assert {n} == {k}
"{s}": {k},
"{n}": "{s}",
[{n}]
{s} = {k}""".split("\n")

LOG = """{k}:{k}:{k} INFO {n} {v} in {k} ms
{k}:{k}:{k} WARN {n} is {a}
{k}:{k}:{k} ERROR {s}: {n} not found
GET /{n}/{k} 200 {k}ms
{n},{k},{k},{a}""".split("\n")
