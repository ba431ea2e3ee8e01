// The languages that highlight.cpp knows: a row of words and habits for each.
#pragma once

#include <cstdint>
#include <string_view>

namespace app::window {

enum LanguageHabit : uint32_t {
    kPreprocessor = 1 << 0,  // # at the start of a line
    kTripleQuotes = 1 << 1,  // """ and '''
    kBackticks = 1 << 2,     // ` over several lines
    kRawStrings = 1 << 3,    // C++'s R"x(...)x"
    kLifetimes = 1 << 4,     // Rust's 'a, r"..."
    kNoCase = 1 << 5,        // keywords in any case
    kDollarNames = 1 << 6,   // $name
    kAtNames = 1 << 7,       // @name
    kRegex = 1 << 8,         // /.../
    kCapitalTypes = 1 << 9,  // Name is a type
    kDashedNames = 1 << 10,  // a-b is one word
    kNestedComments = 1 << 11,
    kHereDocuments = 1 << 12,  // <<END
    kQuoteIsName = 1 << 13,    // SQL: "name"
    kBangNames = 1 << 14,      // Rust: name!
    kColonNames = 1 << 15,     // Ruby, Clojure: :name
    kPlainQuotes = 1 << 16     // '...' is a string without escapes
};

enum class Family : uint8_t { code, json, yaml, ini, markup, css, diff, markdown, none };

struct Language {
    std::string_view names;  // as they stand behind a fence; the first has the label
    std::string_view label;
    Family family = Family::code;
    uint32_t habits = 0;
    std::string_view line_comment, other_line_comment;
    std::string_view comment_open, comment_close;
    std::string_view keywords, types;
};

// Never null: the C family where the name is not known.
const Language& language_of(std::string_view name);
bool is_keyword(const Language& language, std::string_view word);
bool is_type(const Language& language, std::string_view word);

}  // namespace app::window
