// SchemaConverter: JSON Schema -> grammar expressions, a value at a time. One converter for one
// schema; references become rules, so that recursive schemas come to an end. What it honours is
// said in schema_grammar.h.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "app/json/json.h"
#include "app/server/json_text.h"
#include "app/server/schema_reader.h"
#include "runtime/text/grammar/pattern.h"

namespace app {

class SchemaConverter {
public:
    using Expr = runtime::GrammarBuilder::Expr;

    // `work_left`: see SchemaReader.
    SchemaConverter(runtime::GrammarBuilder& builder,
                    const Json& root,
                    bool in_argument,
                    int64_t& work_left)
        : b_(builder), read_(root, work_left), text_(builder, in_argument) {}

    Expr value(const Json& schema, const std::string& path) { return convert(schema, path, 0); }
    Expr any_object();
    // A string's own characters, unquoted: an argument whose type is string and nothing else.
    Expr bare_string(const Json& given, const std::string& path);
    // A tool's argument as GLM writes it: a string bare, anything else as JSON. Where the schema allows strings beside other
    // types the text is read as JSON if it can be (tool_schema.h), so a string stands bare only if it cannot be misread. A rule
    // of its own, the same wherever in a call it stands (inner_masks.h).
    Expr argument(const Json& given, const std::string& path);
    // Any text that an argument can be.
    Expr free_text();
    SchemaReader& reader() { return read_; }

private:
    Expr convert(const Json& schema, const std::string& path, int depth);
    Expr converted(const Json& schema, const std::string& path, int depth);
    Expr of_type(const std::string& type, const Json& schema, const std::string& path, int depth);
    std::optional<Expr> bare_or_json(const Json& schema, const std::string& path);
    Expr number(const Json& schema, const std::string& path, bool whole);
    Expr patterned(const std::string& pattern,
                   const std::string& place,
                   const runtime::WriteCharacter& character,
                   std::pair<int32_t, int32_t> lengths);
    Expr string(const Json& schema, const std::string& path);
    Expr array(const Json& schema, const std::string& path, int depth);
    Expr tuple(const Json& first,
               const Json* rest,
               std::pair<int32_t, int32_t> limits,
               const std::string& path,
               int depth);
    Expr object(const Json& schema, const std::string& path, int depth);
    Expr any_value();

    runtime::GrammarBuilder& b_;
    SchemaReader read_;
    JsonText text_;
    std::map<const Json*, Expr> rules_;
};

}  // namespace app
