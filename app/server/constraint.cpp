#include "app/server/constraint.h"

#include <algorithm>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <utility>

#include "app/server/api_error.h"
#include "app/server/schema_grammar.h"
#include "runtime/text/grammar/gbnf.h"

namespace app {
namespace {

using GrammarPointer = std::shared_ptr<const runtime::Grammar>;

// The last few grammars by what they were made from.
GrammarPointer remembered(const std::string& key, const std::function<GrammarPointer()>& make) {
    constexpr size_t kKept = 32;
    static std::mutex mutex;
    static std::list<std::pair<std::string, GrammarPointer>> kept;  // guarded by mutex
    {
        const std::lock_guard lock(mutex);
        for (auto it = kept.begin(); it != kept.end(); ++it) {
            if (it->first == key) {
                kept.splice(kept.begin(), kept, it);
                return kept.front().second;
            }
        }
    }
    GrammarPointer made = make();
    const std::lock_guard lock(mutex);
    kept.emplace_front(key, made);
    if (kept.size() > kKept) {
        kept.pop_back();
    }
    return made;
}

GrammarPointer gbnf(const std::string& text, bool thought, const runtime::Tokenizer& tokenizer) {
    return remembered(
        "gbnf " + std::to_string(thought ? tokenizer.find("</think>").value_or(-1) : -2) + " " +
            text,
        [&] {
            try {
                return runtime::parse_gbnf(text, [&](runtime::GrammarBuilder& builder,
                                                     runtime::GrammarBuilder::Expr root) {
                    return thought ? builder.sequence({thought_before(builder, tokenizer), root})
                                   : root;
                });
            } catch (const runtime::GrammarError& error) {
                throw ApiError::invalid(
                    std::string("'grammar' cannot be used: ") + error.what() + ".", "grammar");
            }
        });
}

}  // namespace

std::shared_ptr<const runtime::Constraint> constraint_of(const ChatRequest& request,
                                                         const runtime::Tokenizer& tokenizer) {
    using Choice = ChatRequest::ToolChoice;
    const bool tools = !request.callable.empty();
    const bool forced = request.tool_choice == Choice::required;
    const bool shaped = request.json_schema.has_value() || !request.gbnf.empty();
    const bool may_call = tools && !shaped;
    if (!forced && !shaped && !may_call) {
        return nullptr;
    }
    runtime::Constraint constraint;
    std::vector<CallableTool> callable;
    std::string key;
    if (forced || may_call || (tools && request.json_schema)) {
        for (size_t i = 0; i < request.callable.size(); i++) {
            const auto& [name, parameters, strict] = request.callable[i];
            if (request.forced_tool.empty() || name == request.forced_tool) {
                callable.push_back({name, parameters.is_object() ? &parameters : nullptr,
                                    "tools[" + std::to_string(i) + "].function.parameters",
                                    forced || strict});
                key += name + (forced || strict ? " ! " : " ") + to_text(parameters) + "\n";
            }
        }
    }
    // Markers are tokens in one vocabulary and text in another.
    for (const char* marker : {"<tool_call>", "<arg_key>", "</think>"}) {
        key += std::to_string(tokenizer.find(marker).value_or(-1)) + " ";
    }
    const bool opened =
        may_call && !forced;  // the model's own choice: held to from its <tool_call> on
    const bool thought = request.format.enable_thinking && !opened;
    const bool strict = std::any_of(callable.begin(), callable.end(),
                                    [](const CallableTool& tool) { return tool.strict; });
    const auto call = tokenizer.find("<tool_call>");
    if (opened && !call) {
        if (strict) {
            throw ApiError::invalid(
                "This model's vocabulary has no token <tool_call>, so 'strict' cannot be honoured.",
                "tools", "unsupported_value");
        }
        return nullptr;
    }
    if (!forced && !request.gbnf.empty()) {
        constraint.grammar = gbnf(request.gbnf, thought, tokenizer);
    } else {
        const Json* schema = forced || !request.json_schema ? nullptr : &*request.json_schema;
        const bool several = request.parallel_tool_calls;
        key += std::to_string(several) + std::to_string(opened) + std::to_string(thought) +
               (schema != nullptr ? to_text(*schema) : "");
        constraint.grammar = remembered(key, [&]() -> GrammarPointer {
            try {
                return reply_grammar({schema, callable, several, opened, thought}, tokenizer);
            } catch (const ApiError&) {
                if (!opened || strict) {
                    throw;
                }
                return nullptr;  // too many tools, too large: calls are as free as the rest
            }
        });
        if (!constraint.grammar) {
            return nullptr;
        }
    }
    if (opened) {
        constraint.begins_after = *call;
    }
    return std::make_shared<const runtime::Constraint>(std::move(constraint));
}

}  // namespace app
