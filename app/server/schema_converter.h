// SchemaConverter: JSON Schema -> grammar expressions, a value at a time. One converter for one
// schema; references become rules, so that recursive schemas come to an end. What it honours is
// said in schema_grammar.h.
#pragma once

#include <map>
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
    SchemaReader& reader() { return read_; }

private:
    Expr convert(const Json& schema, const std::string& path, int depth);
    Expr converted(const Json& schema, const std::string& path, int depth);
    Expr of_type(const std::string& type, const Json& schema, const std::string& path, int depth);
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
