#include "app/conversation_export.h"

#include <algorithm>
#include <ctime>

#include "app/conversation_json.h"
#include "app/markdown_html.h"

namespace app {
namespace {

std::string time_text(int64_t seconds) {
    const auto time = static_cast<std::time_t>(seconds);
    std::tm parts{};
    gmtime_r(&time, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
    return text;
}

const char* name_for_people(runtime::Role role) {
    switch (role) {
        case runtime::Role::user:
            return "You";
        case runtime::Role::assistant:
            return "Answer";
        case runtime::Role::tool:
            return "Tool";
        case runtime::Role::system:
            break;
    }
    return "System";
}

// The state in words; empty for a whole message.
std::string remark(const Message& message) {
    switch (message.state) {
        case MessageState::stopped:
            return "stopped";
        case MessageState::cut:
            return "cut at the limit";
        case MessageState::failed:
            return "failed" + (message.error.empty() ? "" : ": " + message.error);
        case MessageState::complete:
        case MessageState::streaming:
            break;
    }
    return "";
}

// A fence longer than any in the text, so that nothing in it closes the block.
std::string fence_for(std::string_view text) {
    size_t longest = 0, run = 0;
    for (const char c : text) {
        run = c == '`' ? run + 1 : 0;
        longest = std::max(longest, run);
    }
    return std::string(std::max<size_t>(3, longest + 1), '`');
}

std::string call_text(const runtime::ToolCall& call) {
    std::string text = call.name + "(";
    for (size_t i = 0; i < call.arguments.size(); i++) {
        text += (i ? ", " : "") + call.arguments[i].key + ": " + call.arguments[i].value;
    }
    return text + ")";
}

}  // namespace

std::string to_markdown(const Conversation& conversation) {
    std::string out = "# " + conversation.title + "\n\n";
    for (const Message& message : conversation.messages) {
        out += std::string("## ") + name_for_people(message.role) + "\n\n";
        for (const Attachment& attachment : message.attachments) {
            const std::string& text = attachment.text.str();
            const std::string fence = fence_for(text);
            out += "<details><summary>" + escape_html(attachment.name) + "</summary>\n\n" + fence +
                   "\n" + text + (text.ends_with('\n') ? "" : "\n") + fence + "\n\n</details>\n\n";
        }
        if (!message.reasoning.empty()) {
            std::string quoted = "> ";
            for (const char c : message.reasoning) {
                quoted += c;
                if (c == '\n') {
                    quoted += "> ";
                }
            }
            out += "> *Thinking*\n>\n" + quoted + "\n\n";
        }
        if (!message.content.empty()) {
            out += message.content + "\n\n";
        }
        for (const runtime::ToolCall& call : message.tool_calls) {
            const std::string text = call_text(call), fence = fence_for(text);
            out += fence + "\n" + text + "\n" + fence + "\n\n";
        }
        if (const std::string note = remark(message); !note.empty()) {
            out += "*(" + note + ")*\n\n";
        }
    }
    return out;
}

std::string to_html(const Conversation& conversation) {
    const std::string title = escape_html(conversation.title);
    std::string out =
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
        title +
        "</title>\n<style>\n"
        ":root{color-scheme:light dark;--line:#d6d9df;--card:#f2f4f7;--dim:#6b7280}\n"
        "@media(prefers-color-scheme:dark){:root{--line:#33373f;--card:#20242c;--dim:#9aa0ab}}\n"
        "body{font:16px/1.55 Inter,system-ui,sans-serif;max-width:760px;margin:2.5rem auto;"
        "padding:0 1rem}\n"
        "h1{font-size:1.5rem}h2{font-size:.8rem;color:var(--dim);margin:2rem 0 .4rem}\n"
        ".user{background:var(--card);border-radius:10px;padding:.8rem 1rem}\n"
        ".text{overflow-wrap:anywhere}\n"
        "pre,code{font:14px/1.5 'JetBrains Mono',ui-monospace,monospace}\n"
        "pre{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.8rem;"
        "overflow-x:auto;white-space:pre}\n"
        "table{border-collapse:collapse}td,th{border:1px solid var(--line);padding:.3rem .6rem}\n"
        "blockquote{margin:0;padding-left:1rem;border-left:3px solid var(--line)}\n"
        "details{color:var(--dim);margin:.4rem 0}.note{color:var(--dim);font-size:.85rem}\n"
        "</style>\n</head>\n<body>\n<h1>" +
        title + "</h1>\n<p class=\"note\">" + time_text(conversation.created_at) + "</p>\n";
    for (const Message& message : conversation.messages) {
        const bool user = message.role == runtime::Role::user;
        out += std::string("<h2>") + name_for_people(message.role) + "</h2>\n<div class=\"" +
               (user ? "user" : "answer") + "\">\n";
        for (const Attachment& attachment : message.attachments) {
            out += "<details><summary>" + escape_html(attachment.name) + " \u00B7 " +
                   std::to_string(attachment.tokens) + " tokens</summary><pre>" +
                   escape_html(attachment.text.str()) + "</pre></details>\n";
        }
        if (!message.reasoning.empty()) {
            out += "<details><summary>Thinking</summary><div class=\"text\">" +
                   markdown_to_html(message.reasoning) + "</div></details>\n";
        }
        if (!message.content.empty()) {
            out += "<div class=\"text\">" + markdown_to_html(message.content) + "</div>\n";
        }
        for (const runtime::ToolCall& call : message.tool_calls) {
            out += "<pre>" + escape_html(call_text(call)) + "</pre>\n";
        }
        if (const std::string note = remark(message); !note.empty()) {
            out += "<p class=\"note\">" + escape_html(note) + "</p>\n";
        }
        out += "</div>\n";
    }
    return out + "</body>\n</html>\n";
}

std::string to_json(const std::vector<ExportedTree>& trees) {
    Json all = Json::array();
    for (const ExportedTree& item : trees) {
        const Conversation& tree = item.tree;
        Json messages = Json::array();
        for (const Message& message : tree.messages) {
            Json attachments = Json::array();
            for (const Attachment& attachment : message.attachments) {
                attachments.push_back(Json{{"name", attachment.name},
                                           {"text", attachment.text.str()},
                                           {"tokens", attachment.tokens},
                                           {"files", json_of(attachment.files.all())},
                                           {"left_out", attachment.left_out}});
            }
            messages.push_back(Json{{"id", message.id},
                                    {"parent", message.parent},
                                    {"role", name_of(message.role)},
                                    {"state", name_of(message.state)},
                                    {"content", message.content},
                                    {"reasoning", message.reasoning},
                                    {"tool_calls", json_of(message.tool_calls)},
                                    {"attachments", std::move(attachments)},
                                    {"error", message.error},
                                    {"stats", json_of(message.stats)},
                                    {"created_at", message.created_at},
                                    {"tokens", message.tokens},
                                    {"left_out", message.left_out}});
        }
        all.push_back(Json{{"title", tree.title},
                           {"created_at", tree.created_at},
                           {"updated_at", tree.updated_at},
                           {"pinned", tree.pinned},
                           {"folder", item.folder},
                           {"settings", tree.settings},
                           {"shown", item.shown},
                           {"messages", std::move(messages)}});
    }
    return dump(Json{{"format", "keyhole-conversations"},
                     {"version", 1},
                     {"conversations", std::move(all)}},
                1) +
           "\n";
}

std::string file_stem(std::string_view title) {
    std::string stem;
    for (const char c : title) {
        const auto byte = static_cast<unsigned char>(c);
        const bool kept = byte >= 0x80 || (byte >= '0' && byte <= '9') ||
                          (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                          byte == '-' || byte == '_' || byte == '.';
        if (kept && c != '-' && !(stem.empty() && c == '.')) {
            stem += c;
        } else if (!stem.empty() && stem.back() != '-') {
            stem += '-';
        }
    }
    while (stem.ends_with('-') || stem.ends_with('.')) {
        stem.pop_back();
    }
    // Room for an ending; never in the middle of a character.
    if (stem.size() > 100) {
        size_t cut = 100;
        while (cut > 0 && (static_cast<unsigned char>(stem[cut]) & 0xC0) == 0x80) {
            cut--;
        }
        stem.resize(cut);
    }
    return stem.empty() ? "conversation" : stem;
}

}  // namespace app
