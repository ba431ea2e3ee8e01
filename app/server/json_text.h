// JsonText: the pieces of JSON text as grammar expressions: characters, strings, keys, separators,
// constants. Knows no schema. In an argument of a tool call no '<' is written: the text stands
// between GLM's tags.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "app/json/json.h"
#include "runtime/text/grammar/grammar.h"

namespace app {

using CodePoints = runtime::GrammarBuilder::CodePoints;

// Ranges without [low, high].
CodePoints without(const CodePoints& ranges, uint32_t low, uint32_t high);

class JsonText {
public:
    using Expr = runtime::GrammarBuilder::Expr;

    static constexpr int32_t kMostKeyLength = 64;  // of keys that no schema names

    JsonText(runtime::GrammarBuilder& builder, bool in_argument)
        : b_(builder), in_argument_(in_argument) {}

    bool in_argument() const { return in_argument_; }

    // One character of a string, as it may stand between quotes; `freely`: by any escape, not only
    // the needed ones.
    Expr character(const CodePoints& ranges, bool freely = false);
    Expr quoted(Expr inside);
    Expr string_of(int32_t least, int32_t most);  // characters; most -1: any number
    Expr comma();
    Expr colon();
    Expr pair(Expr key, Expr value);
    // {...} of `least` to `most` such pairs.
    Expr object_of_pairs(Expr one, int32_t least, int32_t most);
    Expr constant(const Json& value) { return b_.literal(constant_text(value)); }
    std::string constant_text(const Json& value) const;
    // A key that is none of these, written without escapes.
    Expr other_key(const std::vector<std::string>& names);

    // A rule of that name, made once; the name may stand in what it is made of.
    template <typename Make>
    Expr shared(const std::string& name, const Make& make) {
        if (const auto found = shared_.find(name); found != shared_.end()) {
            return found->second;
        }
        const Expr rule = b_.declare(name);
        shared_.emplace(name, rule);
        b_.define(rule, make());
        return rule;
    }

private:
    runtime::GrammarBuilder& b_;
    const bool in_argument_;
    std::map<std::string, Expr> shared_;
};

}  // namespace app
