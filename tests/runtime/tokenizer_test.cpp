#include "runtime/text/tokenizer.h"

#include <algorithm>
#include <climits>
#include <cstdio>
#include <ctime>
#include <map>
#include <random>

#include "runtime/error.h"
#include "runtime/log.h"
#include "runtime/text/splitter.h"
#include "tests/runtime/text_cases.h"
#include "tests/support/catch.h"

using namespace runtime;
using tests::small_vocabulary;

namespace {

using Ids = std::vector<TokenId>;

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        char buffer[8];
        std::snprintf(buffer, sizeof buffer, c > 0x20 && c < 0x7F ? "%c" : "\\x%02x",
                      static_cast<uint8_t>(c));
        out += buffer;
    }
    return out;
}

// Merges by rank over strings, one at a time: slow and plain.
std::vector<std::string> naive_bpe(
    const std::string& piece, const std::map<std::pair<std::string, std::string>, int>& ranks) {
    std::vector<std::string> parts;
    for (const char c : piece) {
        parts.emplace_back(1, c);
    }
    for (;;) {
        size_t best = 0;
        int best_rank = INT_MAX;
        for (size_t i = 0; i + 1 < parts.size(); i++) {
            const auto found = ranks.find({parts[i], parts[i + 1]});
            if (found != ranks.end() && found->second < best_rank) {
                best_rank = found->second;
                best = i;
            }
        }
        if (best_rank == INT_MAX) {
            return parts;
        }
        parts[best] += parts[best + 1];
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
}

struct QuietLog {
    QuietLog() { set_log_level(LogLevel::error); }
    ~QuietLog() { set_log_level(LogLevel::warning); }
};

std::string refusal(Vocabulary vocabulary) {
    QuietLog quiet;
    try {
        Tokenizer tokenizer(std::move(vocabulary));
        return "";
    } catch (const ModelError& error) {
        return error.what();
    }
}

}  // namespace

TEST_CASE("texts are cut where the regular expression cuts them", "[tokenizer]") {
    const auto fields = tests::read_fields("split_cases.txt");
    REQUIRE(fields.size() % 2 == 0);
    REQUIRE(fields.size() > 8000);
    for (size_t i = 0; i < fields.size(); i += 2) {
        const std::string& text = fields[i];
        std::vector<size_t> lengths;
        for (size_t at = 0; at < text.size();) {
            const size_t end = piece_end(text, at);
            REQUIRE(end > at);
            lengths.push_back(end - at);
            at = end;
        }
        INFO(escaped(text));
        REQUIRE(lengths == tests::numbers<size_t>(fields[i + 1]));
    }
}

TEST_CASE("golden texts get llama.cpp's ids, and plain encoding recognises no special token",
          "[tokenizer]") {
    const Tokenizer tokenizer(small_vocabulary());
    const auto fields = tests::read_fields("tokenizer_cases.txt");
    REQUIRE(fields.size() % 3 == 0);
    for (size_t i = 0; i < fields.size(); i += 3) {
        const std::string& text = fields[i];
        INFO(escaped(text));
        const Ids recognised = tokenizer.encode(text, Special::recognise),
                  plain = tokenizer.encode(text);
        REQUIRE(recognised == tests::numbers<TokenId>(fields[i + 1]));
        REQUIRE(plain == tests::numbers<TokenId>(fields[i + 2]));
        REQUIRE(tokenizer.count(text) == static_cast<int64_t>(plain.size()));
        REQUIRE(tokenizer.decode(plain) == text);
        REQUIRE(tokenizer.decode(recognised, true) == text);
    }
}

TEST_CASE("any bytes survive encoding and decoding", "[tokenizer]") {
    const Tokenizer tokenizer(small_vocabulary());
    std::mt19937 random(3);
    for (int round = 0; round < 2000; round++) {
        std::string text(random() % 200, '\0');
        const bool any = random() % 2 != 0;
        for (char& c : text) {
            c = any ? static_cast<char>(random() % 256)
                    : "the r \n12\xE3\x83\xF0\x9F'"[random() % 15];
        }
        const Ids ids = tokenizer.encode(text);
        REQUIRE(tokenizer.decode(ids) == text);
        REQUIRE(std::none_of(ids.begin(), ids.end(),
                             [&](TokenId id) { return tokenizer.is_special(id); }));
        REQUIRE(tokenizer.decode(tokenizer.encode(text, Special::recognise), true) == text);
    }
}

TEST_CASE("merging equals the naive algorithm on random vocabularies", "[tokenizer]") {
    std::mt19937 random(4);
    for (int round = 0; round < 60; round++) {
        Vocabulary vocabulary = small_vocabulary();
        vocabulary.merges.clear();
        vocabulary.tokens.resize(256);
        std::vector<std::string> known = {"a", "b", "c"};
        std::map<std::pair<std::string, std::string>, int> ranks;
        for (int i = 0; i < 30; i++) {
            const std::string left = known[random() % known.size()],
                              right = known[random() % known.size()];
            if (left.size() + right.size() > 20 || ranks.count({left, right}) != 0) {
                continue;
            }
            ranks[{left, right}] = static_cast<int>(vocabulary.merges.size());
            vocabulary.merges.push_back(left + " " + right);
            if (std::find(known.begin(), known.end(), left + right) == known.end()) {
                known.push_back(left + right);
                vocabulary.tokens.push_back(left + right);
            }
        }
        vocabulary.types.assign(vocabulary.tokens.size(), 1);
        vocabulary.eos = vocabulary.eot = vocabulary.eom = std::nullopt;
        const std::vector<std::string> tokens = vocabulary.tokens;
        const Tokenizer tokenizer(std::move(vocabulary));
        for (int n = 0; n < 40; n++) {
            std::string text(1 + random() % (n % 2 == 0 ? 20 : 300), 'a');
            for (char& c : text) {
                c = "abc"[random() % (1 + n % 3)];
            }
            std::vector<std::string> parts;
            for (const TokenId id : tokenizer.encode(text)) {
                parts.push_back(tokens[static_cast<size_t>(id)]);
            }
            REQUIRE(parts == naive_bpe(text, ranks));
        }
    }
}

TEST_CASE("megabytes of one kind are encoded in linear time", "[tokenizer]") {
    const Tokenizer tokenizer(small_vocabulary());
    const std::string units[] = {"a",      " ",    "1", "\n",   "!",  "\xF0\x9F\x99\x82",
                                 "\u3000", "\r\n", "'", "\x80", "er", "ther",
                                 " \n",    "\t ",  "é", "a ",   "<",  "<|user|>",
                                 "<|user|"};
    for (const std::string& unit : units) {
        std::string text;
        while (text.size() < 2'000'000) {
            text += unit;
        }
        INFO(escaped(unit));
        const std::clock_t start = std::clock();  // of this process: a busy machine does not count
        REQUIRE(tokenizer.decode(tokenizer.encode(text, Special::recognise), true) == text);
        const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
        // Far above what a slow, sanitized build takes; a quadratic step would take hours.
        CHECK(seconds < 60);
    }
}

TEST_CASE("special tokens are found only where asked for, the longest first", "[tokenizer]") {
    Vocabulary vocabulary = small_vocabulary();
    vocabulary.tokens.insert(vocabulary.tokens.end(),
                             {"<sop", "<sop><so", "", std::string(100'000, '<')});
    vocabulary.types.insert(vocabulary.types.end(), {4, 4, 4, 4});
    // Merges that lead to the text of an added token: plain text must not become one all the same.
    std::string grown = "/";
    int rank = 0;
    for (const char c : std::string("nothink")) {
        vocabulary.merges.insert(vocabulary.merges.begin() + rank++, grown + " " + c);
        grown += c;
        if (grown != "/nothink") {
            vocabulary.tokens.push_back(grown);
            vocabulary.types.push_back(1);
        }
    }
    const QuietLog quiet;
    const Tokenizer tokenizer(std::move(vocabulary));
    CHECK(tokenizer.encode("<sop><sop><sop", Special::recognise) == Ids{385, 79, 29, 384});
    CHECK(tokenizer.encode("<sop", Special::recognise) == Ids{384});
    CHECK(tokenizer.encode("/nothink") == Ids{393, 74});
    CHECK(tokenizer.find("<|user|>") == 331);
    CHECK(tokenizer.find("<|user|") == std::nullopt);
    CHECK(tokenizer.find("the") == std::nullopt);
    CHECK(tokenizer.find("") == std::nullopt);
    const std::string longest(300'000, '<');
    CHECK(tokenizer.encode(longest, Special::recognise) == Ids(300'000, 27));
    for (const TokenId id : tokenizer.encode("<think></think>/nothink[gMASK]<|endoftext|>")) {
        CHECK(!tokenizer.is_special(id));
    }
}

TEST_CASE("what ends a turn, what is shown and what may be sampled", "[tokenizer]") {
    const Tokenizer tokenizer(small_vocabulary());
    CHECK(tokenizer.vocab_size() == 384);
    CHECK(Ids(tokenizer.end_of_turn().begin(), tokenizer.end_of_turn().end()) ==
          Ids{324, 331, 333});
    CHECK(tokenizer.is_end_of_turn(331));
    CHECK(!tokenizer.is_end_of_turn(332));
    CHECK(tokenizer.bytes(331) == "");
    CHECK(tokenizer.bytes(331, true) == "<|user|>");
    CHECK(tokenizer.bytes(*tokenizer.find("<think>")) == "<think>");
    CHECK(tokenizer.bytes(*tokenizer.find("</tool_call>")) == "</tool_call>");
    CHECK(tokenizer.bytes(370) == "");
    CHECK(tokenizer.bytes(370, true) == "[PAD370]");
    CHECK(tokenizer.can_be_sampled(0));
    CHECK(tokenizer.can_be_sampled(331));
    CHECK(!tokenizer.can_be_sampled(320));
    CHECK(!tokenizer.can_be_sampled(360));
    for (const TokenId id : {-1, 384, INT32_MAX, INT32_MIN}) {
        CHECK(tokenizer.bytes(id, true) == "");
        CHECK(!tokenizer.can_be_sampled(id));
        CHECK(!tokenizer.is_special(id));
        CHECK(!tokenizer.is_end_of_turn(id));
    }
}

TEST_CASE("a file without token types or with wrong ones still has GLM's special tokens",
          "[tokenizer]") {
    for (const int type : {0, 1, 3, 5}) {
        Vocabulary vocabulary = small_vocabulary();
        vocabulary.eos = vocabulary.eot = vocabulary.eom = std::nullopt;
        if (type == 0) {
            vocabulary.types.clear();
        } else {
            std::fill(vocabulary.types.begin() + 324, vocabulary.types.end(), type);
        }
        const Tokenizer tokenizer(std::move(vocabulary));
        CHECK(tokenizer.encode("<think><|user|>", Special::recognise) == Ids{345, 331});
        CHECK(tokenizer.bytes(345) == "<think>");
        CHECK(tokenizer.bytes(331) == "");
        CHECK(!tokenizer.can_be_sampled(383));
        CHECK(tokenizer.end_of_turn().size() == 3);
    }
}

TEST_CASE("a vocabulary that cannot be used is refused in one line", "[tokenizer]") {
    const auto with = [](auto change) {
        Vocabulary vocabulary = small_vocabulary();
        change(vocabulary);
        return refusal(std::move(vocabulary));
    };
    CHECK_THAT(refusal({}), ContainsSubstring("no vocabulary"));
    CHECK_THAT(with([](auto& v) { v.types.pop_back(); }),
               ContainsSubstring("383 entries for 384 tokens"));
    CHECK_THAT(with([](auto& v) { v.pre = "llama-bpe"; }), ContainsSubstring("\"llama-bpe\""));
    CHECK_THAT(with([](auto& v) { v.model = "llama"; }), ContainsSubstring("\"llama\""));
    CHECK_THAT(with([](auto& v) { v.tokens[64] = "xx"; }),
               ContainsSubstring("no token for byte 97"));
    CHECK_THAT(with([](auto& v) { v.merges.push_back("nospace"); }), ContainsSubstring("merge 64"));
    CHECK_THAT(with([](auto& v) { v.merges.push_back(""); }), ContainsSubstring("merge 64"));
    CHECK(with([](auto& v) { v.pre = "chatglm-bpe"; }).empty());
    CHECK(with([](auto& v) { v.pre = ""; }).empty());
    CHECK(with([](auto& v) { v.merges.clear(); }).empty());
    CHECK(with([](auto& v) { v.merges.push_back("nowhere tofind"); }).empty());
    CHECK(with([](auto& v) {
              v.eos = -7;
              v.more_eos = {384, INT32_MAX, INT32_MIN};
          }).empty());
    CHECK(with([](auto& v) { v.tokens[310] = "\xff\xfe\x80"; }).empty());
    CHECK(with([](auto& v) { v.tokens[310] = std::string(5'000'000, 'a'); }).empty());
    CHECK(with([](auto& v) { v.tokens[310] = v.tokens[311]; }).empty());
}

TEST_CASE("random damage to a vocabulary never breaks the round trip", "[tokenizer]") {
    const QuietLog quiet;
    std::mt19937 random(5);
    int usable = 0;
    for (int round = 0; round < 500; round++) {
        Vocabulary vocabulary = small_vocabulary();
        for (int n = 0; n < 5; n++) {
            const size_t at = 256 + random() % 128, other = random() % 384;
            switch (random() % 5) {
                case 0:
                    vocabulary.tokens[at] = vocabulary.tokens[other];
                    break;
                case 1:
                    vocabulary.types[other] = static_cast<int32_t>(random() % 9) - 1;
                    break;
                case 2:
                    vocabulary.merges[random() % 64] = vocabulary.merges[random() % 64];
                    break;
                case 3:
                    vocabulary.tokens[at] += static_cast<char>(random());
                    break;
                case 4:
                    vocabulary.merges[random() % 64] =
                        vocabulary.tokens[other] + " " + vocabulary.tokens[at];
                    break;
            }
        }
        std::optional<Tokenizer> tokenizer;
        try {
            tokenizer.emplace(std::move(vocabulary));
        } catch (const ModelError&) {
            continue;
        }
        usable++;
        const std::string text =
            "the other <think> /nothink 12345 don't  \n\n\xff\xc3\xa9 expert [PAD370]";
        REQUIRE(tokenizer->decode(tokenizer->encode(text)) == text);
        REQUIRE(tokenizer->decode(tokenizer->encode(text, Special::recognise), true) == text);
    }
    CHECK(usable > 50);
}
