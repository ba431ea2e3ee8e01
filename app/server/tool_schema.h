// What a tool's JSON schema says about the types of its arguments. GLM writes argument values as
// bare text: whether "123" is a string or a number comes from the declared schema, never from how
// it looks.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "app/json/json.h"
#include "runtime/text/reply_parser.h"

namespace app {

// A set of JSON types.
struct TypeSet {
    enum : unsigned {
        string = 1,
        number = 2,
        integer = 4,
        boolean = 8,
        null = 16,
        object = 32,
        array = 64,
        any = 127
    };
    unsigned bits = any;
    bool has(unsigned type) const { return (bits & type) != 0; }
    bool only_string() const { return bits == string; }
};

// The types `schema` allows; follows anyOf, oneOf, allOf, enum, const and $ref inside `root`,
// bounded in depth.
TypeSet types_of(const Json& schema, const Json& root);

// The declared tools of one request.
class ToolSchemas {
public:
    // `function`: the object with name and parameters, already checked.
    void add(const std::string& name, const Json* parameters);

    bool empty() const { return signatures_.empty(); }
    const std::vector<runtime::ToolSignature>& signatures() const { return signatures_; }

    // The argument is a string and nothing else: its text needs no more than escaping, so it can be
    // sent piece by piece.
    bool is_text(std::string_view tool, std::string_view key) const;
    // The JSON text of an argument: `text` as the model wrote it, read as the schema says. Always
    // valid JSON.
    std::string value(std::string_view tool,
                      std::string_view key,
                      std::string_view text,
                      bool is_string) const;

private:
    std::vector<runtime::ToolSignature> signatures_;
    std::map<std::string, std::map<std::string, TypeSet, std::less<>>, std::less<>> types_;
};

}  // namespace app
