#include "app/server/tool_grammar.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "app/server/api_error.h"
#include "app/server/schema_converter.h"
#include "app/server/tool_schema.h"

namespace app {
namespace {

using runtime::GrammarBuilder;
using Expr = GrammarBuilder::Expr;

class CallGrammar {
public:
    CallGrammar(GrammarBuilder& b,
                const CallableTool& tool,
                const runtime::Tokenizer& tokenizer,
                int64_t& work_left)
        : b_(b),
          tool_(tool),
          work_left_(work_left),
          root_(tool.parameters != nullptr ? *tool.parameters : none()),
          key_begin_(tag_of(b, "<arg_key>", tokenizer)),
          key_end_(tag_of(b, "</arg_key>", tokenizer)),
          value_begin_(tag_of(b, "<arg_value>", tokenizer)),
          value_end_(tag_of(b, "</arg_value>", tokenizer)) {
        convert_.emplace(b, root_, true, work_left);
    }

    Expr arguments() {
        if (tool_.strict) {
            return declared();
        }
        try {
            return declared();
        } catch (const ApiError&) {
            convert_.emplace(b_, root_, true, work_left_);
            return free();
        }
    }

private:
    static const Json& none() {
        static const Json kNone = {{"type", "object"}, {"properties", Json::object()}};
        return kNone;
    }

    [[noreturn]] static void refuse(const std::string& place, const std::string& why) {
        throw ApiError::invalid("'" + place + "' cannot be honoured" + why + ".", place,
                                "unsupported_schema");
    }

    Expr declared() {
        const Json schema = convert_->reader().flattened(root_, tool_.path);
        if (tool_.strict) {
            std::vector<std::string_view> refused = {"anyOf", "oneOf",         "enum",
                                                     "const", "minProperties", "maxProperties"};
            refused.insert(refused.end(), refused_keywords().begin(), refused_keywords().end());
            for (const std::string_view name : refused) {
                if (schema_member(schema, name) != nullptr) {
                    refuse(tool_.path + "." + std::string(name), " for a tool's arguments");
                }
            }
        }
        const Json* properties = schema_member(schema, "properties");
        const Json* required = schema_member(schema, "required");
        const bool names_required = required != nullptr && required->is_array();
        if (properties == nullptr && !tool_.strict) {
            return free();  // an object of whatever the model finds fit
        }
        std::vector<GrammarBuilder::Item> items;
        std::vector<std::string> names;
        if (properties != nullptr && properties->is_object()) {
            for (const auto& [name, one] : properties->items()) {
                names.push_back(name);
                const bool needed = names_required && std::find(required->begin(), required->end(),
                                                                Json(name)) != required->end();
                items.push_back({argument(name, one), needed});
            }
        }
        if (names_required) {
            for (const Json& name : *required) {
                if (name.is_string() &&
                    std::find(names.begin(), names.end(), name.get<std::string>()) == names.end()) {
                    const std::string place = tool_.path + ".required";
                    throw ApiError::invalid("'" + place + "' names '" + name.get<std::string>() +
                                                "', which is not among the properties.",
                                            place, "unsupported_schema");
                }
            }
        }
        if (items.size() <= GrammarBuilder::kMostUnordered) {
            return b_.in_any_order(items);
        }
        std::vector<Expr> parts;
        for (const auto& [what, needed] : items) {
            parts.push_back(needed ? what : b_.optional(what));
        }
        return b_.sequence(std::move(parts));
    }

    Expr argument(const std::string& name, const Json& schema) {
        const std::string path = tool_.path + ".properties." + name;
        if (name.empty() || name.find('<') != std::string::npos ||
            std::isspace(static_cast<unsigned char>(name.front())) != 0 ||
            std::isspace(static_cast<unsigned char>(name.back())) != 0) {
            refuse(path,
                   ": an argument's name cannot be empty, hold '<' or begin or end with a space");
        }
        return pair(b_.literal(name), value(schema, path));
    }

    Expr value(const Json& schema, const std::string& path) {
        if (tool_.strict) {
            return convert_->argument(schema, path);
        }
        try {
            return convert_->argument(schema, path);
        } catch (const ApiError&) {
            // Of the right type at least. What the converter has begun is of no further use.
            convert_.emplace(b_, root_, true, work_left_);
            const TypeSet types = types_of(schema, root_);
            if (types.has(TypeSet::string)) {
                return convert_->free_text();
            }
            static constexpr std::pair<unsigned, const char*> kNames[] = {
                {TypeSet::number, "number"},   {TypeSet::integer, "integer"},
                {TypeSet::boolean, "boolean"}, {TypeSet::null, "null"},
                {TypeSet::object, "object"},   {TypeSet::array, "array"}};
            Json names = Json::array();
            for (const auto& [type, type_name] : kNames) {
                if (types.has(type)) {
                    names.push_back(type_name);
                }
            }
            return convert_->value({{"type", std::move(names)}}, path);
        }
    }

    // Any arguments: the schema cannot be used.
    Expr free() {
        constexpr int32_t kMostKeyLength = 64;
        const Expr key = b_.repeat(b_.code_points({{0x21, 0x3B}, {0x3D, 0x7E}}), 1, kMostKeyLength);
        return b_.repeat(pair(key, convert_->free_text()), 0);
    }

    Expr pair(Expr key, Expr value) {
        return b_.sequence({key_begin_, key, key_end_, value_begin_, value, value_end_});
    }

    GrammarBuilder& b_;
    const CallableTool& tool_;
    int64_t& work_left_;
    const Json& root_;
    const Expr key_begin_, key_end_, value_begin_, value_end_;
    std::optional<SchemaConverter> convert_;
};

}  // namespace

Expr tag_of(GrammarBuilder& builder, const char* tag, const runtime::Tokenizer& tokenizer) {
    const auto id = tokenizer.find(tag);
    return id ? builder.token(*id) : builder.literal(tag);
}

Expr call_of(GrammarBuilder& builder,
             const CallableTool& tool,
             const runtime::Tokenizer& tokenizer,
             int64_t& work_left) {
    return builder.sequence({builder.literal(tool.name),
                             CallGrammar(builder, tool, tokenizer, work_left).arguments(),
                             tag_of(builder, "</tool_call>", tokenizer)});
}

}  // namespace app
