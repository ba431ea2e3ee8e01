// Grammars: the language they accept, against texts listed by hand and against std::regex; what
// tokens a reply may take, against the language byte by byte; no reply gets stuck.
#include <algorithm>
#include <random>
#include <regex>
#include <string>
#include <vector>

#include "runtime/model/synth_vocabulary.h"
#include "runtime/text/grammar/gbnf.h"
#include "runtime/text/grammar/matcher.h"
#include "runtime/text/grammar/pattern.h"
#include "tests/support/catch.h"

using runtime::allows;
using runtime::Grammar;
using runtime::GrammarBuilder;
using runtime::GrammarError;
using runtime::GrammarMatcher;
using runtime::GrammarStates;
using runtime::TokenId;

namespace {

std::shared_ptr<const runtime::Tokenizer> tokenizer() {
    static const auto made =
        std::make_shared<const runtime::Tokenizer>(runtime::synthetic_vocabulary(1024));
    return made;
}

std::shared_ptr<GrammarStates> states_of(std::shared_ptr<const Grammar> grammar) {
    static const auto inner = std::make_shared<runtime::InnerMasks>(
        std::make_shared<const runtime::TokenTrie>(*tokenizer()));
    const auto ends = tokenizer()->end_of_turn();
    return std::make_shared<GrammarStates>(std::move(grammar), inner,
                                           std::vector<TokenId>(ends.begin(), ends.end()));
}

bool accepts(GrammarStates& states, const std::string& text) {
    int32_t state = states.start();
    for (const char c : text) {
        state = states.after_byte(state, static_cast<uint8_t>(c));
        if (state == GrammarStates::kDead) {
            return false;
        }
    }
    return states.may_end(state);
}

bool gbnf_accepts(const std::string& grammar, const std::string& text) {
    return accepts(*states_of(runtime::parse_gbnf(grammar)), text);
}

std::shared_ptr<const Grammar> pattern(const std::string& text) {
    GrammarBuilder b;
    return b.build(runtime::pattern_expression(
        b, text, [&b](const GrammarBuilder::CodePoints& ranges) { return b.code_points(ranges); }));
}

// A name of letters, once and needed; the word "the "; digits; and, needed, the end "!".
std::shared_ptr<const Grammar> in_any_order() {
    GrammarBuilder b;
    const auto name = b.declare("name");
    b.define(name,
             b.sequence({b.literal("<"), b.repeat(b.code_points({{'a', 'z'}, {' ', ' '}}), 1, 30),
                         b.literal(">")}));
    return b.build(b.sequence({b.in_any_order({{name, true},
                                               {b.literal("the "), false},
                                               {b.repeat(b.code_points({{'0', '9'}}), 2, 4), false},
                                               {b.literal("!"), true}}),
                               b.literal(".")}));
}

}  // namespace

TEST_CASE("what may come in any order comes at most once, and what is needed once") {
    const auto states = states_of(in_any_order());
    std::vector<std::string> parts = {"<ab c>", "the ", "123", "!"};
    std::sort(parts.begin(), parts.end());
    do {
        for (size_t n = 0; n <= parts.size(); n++) {
            std::string text;
            int needed = 0;
            for (size_t i = 0; i < n; i++) {
                text += parts[i];
                needed += parts[i] == "!" || parts[i][0] == '<' ? 1 : 0;
            }
            INFO(text);
            CHECK(accepts(*states, text + ".") == (needed == 2));
            CHECK_FALSE(accepts(*states, text + (n > 0 ? parts[0] : "x") + "."));
        }
    } while (std::next_permutation(parts.begin(), parts.end()));
    CHECK(states->shortest(states->start()) == 5);  // <a>!.
    // Thirty of them are no more work than in one order.
    GrammarBuilder b;
    std::vector<GrammarBuilder::Item> items;
    std::string all;
    for (size_t i = 0; i < GrammarBuilder::kMostUnordered; i++) {
        const std::string word(1, static_cast<char>('A' + i));
        items.push_back({b.literal(word), i % 2 == 0});
        all.insert(0, word);
    }
    const auto many = states_of(b.build(b.in_any_order(items)));
    CHECK(accepts(*many, all));
    CHECK_FALSE(accepts(*many, all + "A"));
    CHECK_FALSE(accepts(*many, all.substr(1)));  // the first, which is the last, is needed
    CHECK(many->shortest(many->start()) == 16);
    items.push_back(items.front());
    CHECK_THROWS_AS(b.in_any_order(items), GrammarError);
}

TEST_CASE("a GBNF grammar accepts its language and nothing else") {
    const std::string sum =
        "root ::= term (\"+\" term)*\nterm ::= [0-9]+ | \"(\" root \")\" # numbers\n";
    for (const char* good : {"1", "1+2", "(1+2)+34", "((7))"}) {
        CHECK(gbnf_accepts(sum, good));
    }
    for (const char* bad : {"", "1+", "(1", "1)", "a", "1 + 2"}) {
        CHECK_FALSE(gbnf_accepts(sum, bad));
    }
    CHECK(gbnf_accepts("root ::= \"a\"{2,3} [^a-c]? .", "aaaz!"));
    CHECK(gbnf_accepts("root ::= \"a\"{2,3} [^a-c]? .", "aaß"));
    CHECK_FALSE(gbnf_accepts("root ::= \"a\"{2,3} [^a-c]? .", "a"));
    CHECK(gbnf_accepts("root ::= x |\n  y\nx ::= \"\\x41\\n\"\ny ::= \"\\u00e4\"", "ä"));
    CHECK(gbnf_accepts("root ::= [\\u0400-\\u04ff]+", "привет"));
    CHECK_FALSE(gbnf_accepts("root ::= [\\u0400-\\u04ff]+", "\xD0"));
    // rules that end in themselves, empty turns of a repetition, repetitions in repetitions
    CHECK(gbnf_accepts("root ::= \"a\" root | \"b\"", std::string(5000, 'a') + "b"));
    CHECK(gbnf_accepts("root ::= (\"a\"* \"b\"?)* \"c\"", "aababc"));
    CHECK(gbnf_accepts("root ::= ((\"a\"{2}){3}){1,2}", "aaaaaaaaaaaa"));
    CHECK_FALSE(gbnf_accepts("root ::= ((\"a\"{2}){3}){1,2}", "aaaaaaaa"));
    CHECK(gbnf_accepts("root ::= (\"a\"?){3,9} \"z\"", "z"));
    CHECK(gbnf_accepts("root ::= \"x\"{0,99999}", std::string(3000, 'x')));
}

TEST_CASE("rules in any order take time in proportion, and too long a chain is refused") {
    const auto chain = [](int n) {
        std::string text = "root ::= r0\n";
        for (int i = 0; i < n; i++) {
            text += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + "\n";
        }
        return text + "r" + std::to_string(n) + " ::= \"a\"\n";
    };
    CHECK(gbnf_accepts(chain(4000), "a"));
    CHECK_THROWS_AS(runtime::parse_gbnf(chain(50'000)), GrammarError);
}

TEST_CASE("a grammar that cannot be used says where and why") {
    for (const char* bad :
         {"", "root", "root ::= \"a", "root ::= [a", "root ::= (\"a\"", "root ::= other",
          "x ::= \"a\"", "root ::= root \"a\"", "root ::= x\nx ::= y?\ny ::= root",
          "root ::= \"a\"{3,2}", "root ::= \"a\"{,}", "root ::= \"a\"\nroot ::= \"b\"",
          "root ::= \"\\q\"", "root ::= x\nx ::= \"a\" x", "root ::= [b-a]"}) {
        INFO(bad);
        if (std::string(bad) == "root ::= x\nx ::= y?\ny ::= root") {
            CHECK_THROWS_AS(runtime::parse_gbnf(bad),
                            GrammarError);  // begins with itself through others
            continue;
        }
        CHECK_THROWS_AS(runtime::parse_gbnf(bad), GrammarError);
    }
    CHECK_THROWS_AS(runtime::parse_gbnf("root ::= " + std::string(1000, '(') + "\"a\""),
                    GrammarError);
}

TEST_CASE("patterns accept what std::regex accepts") {
    std::mt19937 random(5);
    const std::vector<std::string> patterns = {
        "^a+b?$",          "ab|cd", "^(a|b)*c",         "[^ab]c$", "^\\w{2,3}$",
        "^(?:ab){1,2}d?$", "\\d",   "^[a-c]{0,2}[d1]$", "^$",      "a.c",
        "^(a(b(c)?)?)+$",  "x*"};
    const std::string letters = "abcd1 ";
    for (const std::string& text : patterns) {
        const auto states = states_of(pattern(text));
        const std::regex expected(text, std::regex::ECMAScript);
        for (int i = 0; i < 1500; i++) {
            std::string word;
            for (size_t n = random() % 6; n > 0; n--) {
                word += letters[random() % letters.size()];
            }
            INFO(text << " on '" << word << "'");
            CHECK(accepts(*states, word) == std::regex_search(word, expected));
        }
    }
    for (const char* bad : {"(", ")", "a{2,1}", "*a", "a**", "(?=a)", "(?<!a)b", "\\b", "(a)\\1",
                            "[b-a]", "a{", "\\p{L}", "a^b", "(a$)b", "[a"}) {
        INFO(bad);
        CHECK_THROWS_AS(pattern(bad), GrammarError);
    }
}

TEST_CASE("text without a marker holds everything but the marker") {
    GrammarBuilder b;
    const auto states = states_of(b.build(b.text_without({"aab", "ébb"})));
    std::mt19937 random(9);
    for (int i = 0; i < 3000; i++) {
        std::string word;
        for (size_t n = random() % 9; n > 0; n--) {
            word += "aaabbé"[random() % 5];
        }
        INFO(word);
        CHECK(accepts(*states, word) == (word.find("aab") == std::string::npos));
    }
    CHECK(accepts(*states, "日本 aa"));
    CHECK_FALSE(accepts(*states, "\xE6\x97"));
}

// The mask of a state against the language, token by token; and every token it allows can be taken.
TEST_CASE("a mask allows exactly the tokens the grammar can go on with") {
    const auto tok = tokenizer();
    std::vector<std::pair<std::string, std::shared_ptr<const Grammar>>> grammars;
    for (const char* text :
         {"root ::= ([a-z]{0,12} | \"the \"){10,70}", "root ::= [a-e ]{25,40} \"x\"",
          "root ::= \"the \" [a-z ]{3,7} \"!\"", "root ::= (\"{\" root \"}\")* | [é-ü]+",
          "root ::= \"\\\"\" ([^\"\\\\] | \"\\\\\" [nt\"])* \"\\\"\""}) {
        grammars.emplace_back(text, runtime::parse_gbnf(text));
    }
    grammars.emplace_back("in any order", in_any_order());
    for (const auto& [text, grammar] : grammars) {
        const auto states = states_of(grammar);
        std::mt19937 random(3);
        for (int round = 0; round < 20; round++) {
            int32_t state = states->start();
            for (int step = 0; step < 12 && !states->must_end(state); step++) {
                const runtime::TokenMask mask = states->mask(state);
                std::vector<TokenId> allowed;
                for (TokenId id = 0; id < tok->vocab_size(); id++) {
                    if (tok->is_end_of_turn(id)) {
                        CHECK(allows(mask, id) == states->may_end(state));
                        continue;
                    }
                    bool expected =
                        tok->can_be_sampled(id) && !tok->is_special(id) && !tok->bytes(id).empty();
                    int32_t next = state;
                    for (const char c : tok->bytes(id)) {
                        next = next == GrammarStates::kDead
                                   ? next
                                   : states->after_byte(next, static_cast<uint8_t>(c));
                    }
                    expected = expected && next != GrammarStates::kDead;
                    if (allows(mask, id) != expected) {
                        FAIL(text << ": token " << id << " '" << tok->bytes(id) << "' expected "
                                  << expected);
                    }
                    if (expected) {
                        allowed.push_back(id);
                    }
                }
                if (allowed.empty()) {
                    CHECK(states->may_end(state));
                    break;
                }
                const TokenId taken = allowed[random() % allowed.size()];
                for (const char c : tok->bytes(taken)) {
                    state = states->after_byte(state, static_cast<uint8_t>(c));
                }
            }
        }
    }
}

TEST_CASE("random grammars never leave a reply without a way on") {
    std::mt19937 random(11);
    const auto pick = [&](size_t n) { return random() % n; };
    int built = 0;
    for (int g = 0; g < 300; g++) {
        GrammarBuilder b;
        std::vector<GrammarBuilder::Expr> rules;
        for (int i = 0; i < 4; i++) {
            rules.push_back(b.declare("r" + std::to_string(i)));
        }
        const std::function<GrammarBuilder::Expr(int)> make =
            [&](int depth) -> GrammarBuilder::Expr {
            switch (depth > 4 ? pick(2) : pick(9)) {
                case 0:
                    return b.literal(std::string(1 + pick(3), static_cast<char>('a' + pick(3))));
                case 1:
                    return b.code_points({{'a', static_cast<uint32_t>('a' + pick(26))},
                                          {0x100, 0x100 + static_cast<uint32_t>(pick(900))}});
                case 2:
                case 3:
                    return b.sequence({make(depth + 1), make(depth + 1)});
                case 4:
                    return b.choice({make(depth + 1), make(depth + 1)});
                case 5:
                    return b.repeat(make(depth + 1), static_cast<int32_t>(pick(3)),
                                    static_cast<int32_t>(pick(2) ? 3 + pick(4) : 3));
                case 6:
                    return b.sequence({b.literal("("), rules[pick(4)], b.literal(")")});
                case 7:
                    return b.in_any_order({{make(depth + 1), pick(2) == 0},
                                           {make(depth + 1), pick(2) == 0},
                                           {make(depth + 1), false}});
                default:
                    return rules[pick(4)];
            }
        };
        for (const auto rule : rules) {
            b.define(rule, make(0));
        }
        std::shared_ptr<const Grammar> grammar;
        try {
            grammar = b.build(rules[0]);
        } catch (const GrammarError&) {
            continue;  // left recursion, or nothing can end
        }
        built++;
        runtime::Constraint constraint{grammar};
        GrammarMatcher matcher(constraint, states_of(grammar), tokenizer());
        try {
            for (int step = 0; step < 60 && !matcher.finished(); step++) {
                const runtime::TokenMask& mask = *matcher.mask();
                std::vector<TokenId> allowed;
                for (TokenId id = 0; id < tokenizer()->vocab_size(); id++) {
                    if (allows(mask, id)) {
                        allowed.push_back(id);
                    }
                }
                REQUIRE_FALSE(allowed.empty());
                const TokenId id = allowed[pick(allowed.size())];
                if (tokenizer()->is_end_of_turn(id)) {
                    break;
                }
                matcher.accept(id);
            }
        } catch (const GrammarError& error) {
            CHECK(std::string(error.what()) == "the grammar is too ambiguous");
        }
    }
    CHECK(built > 60);
}

TEST_CASE("optional constraints hold from their token to the end of the grammar, again and again") {
    const auto tok = tokenizer();
    const TokenId call = *tok->find("<tool_call>");
    GrammarBuilder b;
    const auto grammar = b.build(b.sequence({b.literal("f"), b.token(*tok->find("</tool_call>"))}));
    GrammarMatcher matcher({grammar, call}, states_of(grammar), tok);
    for (int i = 0; i < 2; i++) {
        CHECK(matcher.mask() == nullptr);
        matcher.accept(call);
        REQUIRE(matcher.mask() != nullptr);
        CHECK(allows(*matcher.mask(), tok->encode("f")[0]));
        CHECK_FALSE(allows(*matcher.mask(), tok->encode("g")[0]));
        matcher.accept(tok->encode("f")[0]);
        CHECK(allows(*matcher.mask(), *tok->find("</tool_call>")));
        matcher.accept(*tok->find("</tool_call>"));
        CHECK_FALSE(matcher.finished());
    }
    CHECK(matcher.mask() == nullptr);
    // What the model began by itself is not brought to an end for a limit's sake.
    matcher.accept(call);
    CHECK(matcher.within(tok->encode("f")[0], 1) == tok->encode("f")[0]);
    CHECK_FALSE(matcher.shortened());
}

TEST_CASE("with enough tokens for the shortest text a reply is always whole, whatever is sampled") {
    const std::vector<std::string> grammars = {
        "root ::= \"a\"* \"bcd\"",
        "root ::= \"[\" (item (\",\" item)*)? \"]\"\nitem ::= root | [0-9]+ | \"\\\"\" [a-z]{3,20} "
        "\"\\\"\"",
        "root ::= (\"x\" | \"(\" root root \")\") \"!\"{2,5}",
        "root ::= \"{\" (\"first\" \":\" root \",\"){2,3} \"}\" | \"null\"",
        "root ::= ((\"ab\"{2}){3}){1,2} [\\u00e4-\\u4fff]{2} (\"z\" root)?",
        "root ::= (\"one two three\" | \"four\")+ \".\""};
    // The shortest text each has, counted by hand.
    const std::vector<int64_t> shortest = {3, 2, 3, 4, 16, 5};
    std::mt19937 random(3);
    for (size_t g = 0; g < grammars.size(); g++) {
        INFO(grammars[g]);
        const auto grammar = runtime::parse_gbnf(grammars[g]);
        const auto states = states_of(grammar);
        REQUIRE(states->shortest(states->start()) == shortest[g]);
        const auto needed = states->completion(states->start(), 1000);
        REQUIRE(needed);
        REQUIRE(static_cast<int64_t>(needed->size()) <= shortest[g]);
        REQUIRE_FALSE(
            states->completion(states->start(), static_cast<int64_t>(needed->size()) - 1));
        std::string spelled;
        for (const TokenId id : *needed) {
            spelled += tokenizer()->bytes(id);
        }
        REQUIRE(static_cast<int64_t>(spelled.size()) == shortest[g]);
        REQUIRE(accepts(*states, spelled));
        for (int64_t limit = static_cast<int64_t>(needed->size()); limit < 40; limit++) {
            GrammarMatcher matcher({grammar, -1}, states, tokenizer());
            std::string text;
            bool ended = false;
            for (int64_t left = limit; left > 0 && !ended; left--) {
                const runtime::TokenMask& mask = *matcher.mask();
                std::vector<TokenId> allowed;
                for (TokenId id = 0; id < tokenizer()->vocab_size(); id++) {
                    if (allows(mask, id) && !tokenizer()->is_end_of_turn(id)) {
                        allowed.push_back(id);
                    }
                }
                // Nothing that is sampled ends the reply where it can go on.
                TokenId id = allowed.empty() ? tokenizer()->end_of_turn().front()
                                             : allowed[std::uniform_int_distribution<size_t>(
                                                   0, allowed.size() - 1)(random)];
                id = matcher.within(id, left);
                ended = tokenizer()->is_end_of_turn(id);
                if (!ended) {
                    matcher.accept(id);
                    text += tokenizer()->bytes(id);
                    ended = matcher.finished();
                }
            }
            INFO(limit << ": " << text);
            REQUIRE(accepts(*states, text));
        }
    }
}
