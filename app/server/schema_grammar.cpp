#include "app/server/schema_grammar.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <string_view>
#include <utility>

#include "app/server/api_error.h"
#include "app/server/schema_converter.h"
#include "app/server/tool_schema.h"

namespace app {
namespace {

using runtime::GrammarBuilder;
using Expr = GrammarBuilder::Expr;

Expr arguments_of(GrammarBuilder& b,
                  const CallableTool& tool,
                  const std::map<std::string_view, Expr>& tags,
                  int64_t& work_left) {
    static const Json kNone = Json::object();
    const Json& root = tool.parameters != nullptr ? *tool.parameters : kNone;
    SchemaConverter convert(b, root, true, work_left);
    const Json schema = convert.reader().flattened(root, tool.path);
    const Json* properties = schema_member(schema, "properties");
    const Json* required = schema_member(schema, "required");
    std::vector<std::string_view> refused = {"anyOf", "oneOf",         "enum",
                                             "const", "minProperties", "maxProperties"};
    refused.insert(refused.end(), refused_keywords().begin(), refused_keywords().end());
    for (const std::string_view name : refused) {
        if (schema_member(schema, name) != nullptr) {
            const std::string place = tool.path + "." + std::string(name);
            throw ApiError::invalid("'" + place + "' cannot be honoured for a tool's arguments.",
                                    place, "unsupported_schema");
        }
    }
    std::vector<Expr> parts;
    std::vector<std::string> names;
    if (properties != nullptr && properties->is_object()) {
        for (const auto& [name, one] : properties->items()) {
            names.push_back(name);
            const std::string path = tool.path + ".properties." + name;
            if (name.empty() || name.find('<') != std::string::npos ||
                std::isspace(static_cast<unsigned char>(name.front())) != 0 ||
                std::isspace(static_cast<unsigned char>(name.back())) != 0) {
                throw ApiError::invalid("'" + path +
                                            "' cannot be honoured: an argument's name cannot be "
                                            "empty, hold '<' or begin or end with a space.",
                                        path, "unsupported_schema");
            }
            const Expr value = types_of(one, root).only_string() ? convert.bare_string(one, path)
                                                                 : convert.value(one, path);
            const Expr argument =
                b.sequence({tags.at("<arg_key>"), b.literal(name), tags.at("</arg_key>"),
                            tags.at("<arg_value>"), value, tags.at("</arg_value>")});
            const bool needed =
                required != nullptr && required->is_array() &&
                std::find(required->begin(), required->end(), Json(name)) != required->end();
            parts.push_back(needed ? argument : b.optional(argument));
        }
    }
    if (required != nullptr && required->is_array()) {
        for (const Json& name : *required) {
            if (name.is_string() &&
                std::find(names.begin(), names.end(), name.get<std::string>()) == names.end()) {
                throw ApiError::invalid("'" + tool.path + ".required' names '" +
                                            name.get<std::string>() +
                                            "', which is not among the properties.",
                                        tool.path + ".required", "unsupported_schema");
            }
        }
    }
    return b.sequence(std::move(parts));
}

}  // namespace

Expr thought_before(GrammarBuilder& builder, const runtime::Tokenizer& tokenizer) {
    const auto end = tokenizer.find("</think>");
    if (!end) {
        throw ApiError::invalid("This model's vocabulary has no token </think>, so a reply with thinking cannot be constrained; switch thinking off.",
                                "response_format", "unsupported_value");
    }
    return builder.sequence({builder.text_without({"</think>", "<tool_call>"}), builder.token(*end)});
}

std::shared_ptr<const runtime::Grammar> reply_grammar(const ReplyShape& shape,
                                                      const runtime::Tokenizer& tokenizer) {
    const std::string path = "response_format.json_schema.schema";
    GrammarBuilder b;
    int64_t work_left = SchemaReader::kWork;
    try {
        std::vector<Expr> ways;
        if (shape.schema != nullptr) {
            // Beside tools, text that looks like a call would be read as one.
            SchemaConverter convert(b, *shape.schema, !shape.tools.empty(), work_left);
            ways.push_back(*shape.schema == Json(true) ? convert.any_object()
                                                       : convert.value(*shape.schema, path));
        }
        if (!shape.tools.empty()) {
            std::map<std::string_view, Expr> tags;
            for (const char* tag : {"<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>",
                                    "<arg_value>", "</arg_value>"}) {
                const auto id = tokenizer.find(tag);
                tags[tag] = id ? b.token(*id) : b.literal(tag);
            }
            std::vector<Expr> calls;
            for (const CallableTool& tool : shape.tools) {
                calls.push_back(b.sequence(
                    {b.literal(tool.name), arguments_of(b, tool, tags, work_left), tags.at("</tool_call>")}));
            }
            const Expr any = b.choice(std::move(calls));
            const Expr whole = shape.opened ? any : b.sequence({tags.at("<tool_call>"), any});
            ways.push_back(shape.several && !shape.opened ? b.repeat(whole, 1) : whole);
        }
        const Expr reply = b.choice(std::move(ways));
        return b.build(shape.thought ? b.sequence({thought_before(b, tokenizer), reply}) : reply);
    } catch (const runtime::GrammarError& error) {
        const std::string field = shape.schema != nullptr ? path : "tools";
        throw ApiError::invalid("'" + field + "' cannot be honoured: " + error.what() + ".", field,
                                "unsupported_schema");
    }
}

}  // namespace app
