#include "app/server/schema_grammar.h"

#include <utility>

#include "app/server/api_error.h"
#include "app/server/schema_converter.h"

namespace app {
namespace {

using runtime::GrammarBuilder;
using Expr = GrammarBuilder::Expr;

}  // namespace

Expr thought_before(GrammarBuilder& builder, const runtime::Tokenizer& tokenizer) {
    const auto end = tokenizer.find("</think>");
    if (!end) {
        throw ApiError::invalid(
            "This model's vocabulary has no token </think>, so a reply with thinking cannot be "
            "constrained; switch thinking off.",
            "response_format", "unsupported_value");
    }
    return builder.sequence(
        {builder.text_without({"</think>", "<tool_call>"}), builder.token(*end)});
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
            std::vector<Expr> calls;
            for (const CallableTool& tool : shape.tools) {
                calls.push_back(call_of(b, tool, tokenizer, work_left));
            }
            const Expr any = b.choice(std::move(calls));
            const Expr whole =
                shape.opened ? any : b.sequence({tag_of(b, "<tool_call>", tokenizer), any});
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
