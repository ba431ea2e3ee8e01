#include "app/conversation_import.h"

#include <algorithm>
#include <ctime>
#include <functional>
#include <unordered_map>
#include <utility>

#include "app/conversation_json.h"

namespace app {
namespace {

// A list of messages and the tree that they make: ids count from 1.
class Builder {
public:
    explicit Builder(ExportedTree& to) : to_(to) {}

    int64_t add(Message message, int64_t parent) {
        message.id = static_cast<int64_t>(to_.tree.messages.size()) + 1;
        message.parent = parent;
        to_.tree.messages.push_back(std::move(message));
        return to_.tree.messages.back().id;
    }

private:
    ExportedTree& to_;
};

const Json& item(const Json& json, const char* key) {
    static const Json nothing;
    if (!json.is_object()) {
        return nothing;
    }
    const auto at = json.find(key);
    return at == json.end() ? nothing : *at;
}

int64_t seconds_of(const Json& json) {
    if (!json.is_number()) {
        return 0;
    }
    const double value = json.get<double>();
    return static_cast<int64_t>(value > 1e11 ? value / 1000 : value);  // milliseconds since 1970
}

// OpenAI's content: a string, or parts of which the texts are taken.
std::string text_of(const Json& content) {
    if (content.is_string()) {
        return content.get<std::string>();
    }
    std::string text;
    if (content.is_array()) {
        for (const Json& part : content) {
            const std::string piece =
                part.is_string() ? part.get<std::string>() : field<std::string>(part, "text", "");
            text += (text.empty() || piece.empty() ? "" : "\n") + piece;
        }
    }
    return text;
}

void read_own(const Json& json, ImportedFile& file) {
    for (const Json& one : item(json, "conversations")) {
        ExportedTree tree;
        tree.tree.title = field<std::string>(one, "title", "");
        tree.tree.created_at = field<int64_t>(one, "created_at", 0);
        tree.tree.updated_at = field<int64_t>(one, "updated_at", 0);
        tree.tree.pinned = field<bool>(one, "pinned", false);
        tree.tree.settings = field<std::string>(one, "settings", "");
        tree.folder = field<std::string>(one, "folder", "");
        tree.shown = field<int64_t>(one, "shown", 0);
        for (const Json& m : item(one, "messages")) {
            Message message;
            message.id = field<int64_t>(m, "id", 0);
            message.parent = field<int64_t>(m, "parent", 0);
            message.role = role_of(field<std::string>(m, "role", ""), runtime::Role::user);
            message.state = state_of(field<std::string>(m, "state", ""), MessageState::complete);
            if (message.state == MessageState::streaming) {
                message.state = MessageState::stopped;
            }
            message.content = field<std::string>(m, "content", "");
            message.reasoning = field<std::string>(m, "reasoning", "");
            message.tool_calls = calls_of(item(m, "tool_calls"));
            message.error = field<std::string>(m, "error", "");
            message.stats = stats_of(item(m, "stats"));
            message.created_at = field<int64_t>(m, "created_at", 0);
            message.left_out = field<bool>(m, "left_out", false);
            for (const Json& token : item(m, "tokens")) {
                if (token.is_number_integer()) {
                    message.tokens.push_back(token.get<runtime::TokenId>());
                }
            }
            for (const Json& a : item(m, "attachments")) {
                message.attachments.push_back(
                    {field<std::string>(a, "name", ""), field<std::string>(a, "text", ""),
                     field<int64_t>(a, "tokens", 0), files_of(item(a, "files")), 0,
                     field<bool>(a, "left_out", false)});
            }
            tree.tree.messages.push_back(std::move(message));
        }
        file.trees.push_back(std::move(tree));
    }
}

// ChatGPT's archive: a mapping of nodes with parents and children, and the node that is shown.
ExportedTree read_mapping(const Json& one) {
    ExportedTree tree;
    Builder builder(tree);
    tree.tree.title = field<std::string>(one, "title", "");
    tree.tree.created_at = seconds_of(item(one, "create_time"));
    tree.tree.updated_at = seconds_of(item(one, "update_time"));
    const Json& nodes = item(one, "mapping");
    const std::string shown = field<std::string>(one, "current_node", "");
    // Parents before children; a node without a message for people passes its own parent on.
    std::unordered_map<std::string, std::vector<std::string>> children;
    std::vector<std::pair<std::string, int64_t>> open;
    for (const auto& [id, node] : nodes.items()) {
        const std::string parent = field<std::string>(node, "parent", "");
        if (parent.empty() || !nodes.contains(parent)) {
            open.emplace_back(id, 0);
        }
    }
    size_t seen = 0;
    while (!open.empty() && seen++ <= nodes.size()) {
        const auto [id, above] = open.back();
        open.pop_back();
        const Json& node = nodes[id];
        const Json& m = item(node, "message");
        const std::string name = field<std::string>(item(m, "author"), "role", "");
        const Json& content = item(m, "content");
        std::string text = text_of(item(content, "parts"));
        if (text.empty()) {
            text = field<std::string>(content, "text", "");
        }
        int64_t here = above;
        if ((name == "user" || name == "assistant") && !text.empty()) {
            Message message;
            message.role = role_of(name, runtime::Role::user);
            message.content = std::move(text);
            message.created_at = seconds_of(item(m, "create_time"));
            here = builder.add(std::move(message), above);
        }
        if (id == shown) {
            tree.shown = here;
        }
        const Json& below = item(node, "children");
        if (below.is_array()) {
            for (auto child = below.rbegin(); child != below.rend(); ++child) {
                if (child->is_string() && nodes.contains(child->get<std::string>())) {
                    open.emplace_back(child->get<std::string>(), here);
                }
            }
        }
    }
    return tree;
}

// A list of {role, content}: OpenAI's own, LM Studio's versions, llama.cpp's rows with parents.
ExportedTree read_messages(const Json& one, const Json& messages) {
    ExportedTree tree;
    Builder builder(tree);
    const Json& about = item(one, "conv").is_object() ? item(one, "conv") : one;
    for (const char* key : {"title", "name"}) {
        if (tree.tree.title.empty()) {
            tree.tree.title = field<std::string>(about, key, "");
        }
    }
    for (const char* key : {"created_at", "createdAt", "create_time", "lastModified"}) {
        if (tree.tree.created_at == 0) {
            tree.tree.created_at = seconds_of(item(about, key));
        }
    }
    const auto id_text = [](const Json& id) {
        return id.is_string() ? id.get<std::string>() : id.is_number() ? id.dump() : "";
    };
    std::unordered_map<std::string, int64_t> ids;
    int64_t previous = 0;
    for (const Json& entry : messages) {
        // LM Studio keeps several versions of a message and which is selected.
        const Json& versions = item(entry, "versions");
        const auto selected = static_cast<size_t>(
            std::max<int64_t>(0, field<int64_t>(entry, "currentlySelected", 0)));
        const std::string own = id_text(item(entry, "id"));
        const std::string above = id_text(item(entry, "parent"));
        int64_t parent = previous;
        if (!above.empty()) {
            const auto at = ids.find(above);
            parent = at == ids.end() ? 0 : at->second;
        }
        int64_t shown = 0;
        const auto take = [&](const Json& m, bool is_selected) {
            const std::string name = field<std::string>(m, "role", "");
            std::string text = text_of(item(m, "content"));
            std::string reasoning = field<std::string>(m, "reasoning_content", "");
            if (reasoning.empty()) {
                reasoning = field<std::string>(m, "thinking", "");
            }
            // Answers of LM Studio come in steps, each with a content of its own.
            const Json& steps = item(m, "steps");
            if (text.empty() && steps.is_array()) {
                for (const Json& step : steps) {
                    const std::string kind = field<std::string>(item(step, "style"), "type", "");
                    (kind == "thinking" ? reasoning : text) += text_of(item(step, "content"));
                }
            }
            if ((name != "user" && name != "assistant") || (text.empty() && reasoning.empty())) {
                return;
            }
            Message message;
            message.role = role_of(name, runtime::Role::user);
            message.content = std::move(text);
            message.reasoning = std::move(reasoning);
            message.created_at = seconds_of(item(m, "timestamp"));
            const int64_t id = builder.add(std::move(message), parent);
            if (is_selected || shown == 0) {
                shown = id;
            }
        };
        if (versions.is_array()) {
            for (size_t i = 0; i < versions.size(); i++) {
                take(versions[i], i == selected);
            }
        } else {
            take(entry, true);
        }
        const int64_t here = shown ? shown : parent;
        if (!own.empty()) {
            ids[own] = here;
        }
        previous = here;
    }
    tree.shown = previous;
    const std::string current = id_text(item(about, "currNode"));
    if (const auto at = ids.find(current); at != ids.end()) {
        tree.shown = at->second;
    }
    return tree;
}

void read_one(const Json& one, ImportedFile& file) {
    ExportedTree tree;
    if (item(one, "mapping").is_object()) {
        tree = read_mapping(one);
    } else if (item(one, "messages").is_array()) {
        tree = read_messages(one, item(one, "messages"));
    } else if (one.is_array()) {
        tree = read_messages(Json::object(), one);
    }
    if (tree.tree.messages.empty()) {
        file.skipped++;
    } else {
        file.trees.push_back(std::move(tree));
    }
}

}  // namespace

ImportedFile read_conversations(const std::string& json_text) {
    ImportedFile file;
    const Json json = parse_json(json_text);
    if (json.is_discarded()) {
        file.problem = "it is not JSON";
        return file;
    }
    if (field<std::string>(json, "format", "") == "keyhole-conversations") {
        if (field<int64_t>(json, "version", 0) > 1) {
            file.problem = "it was written by a newer Keyhole";
            return file;
        }
        if (!item(json, "conversations").is_array()) {
            file.problem = "its conversations are missing";
            return file;
        }
        read_own(json, file);
    } else if (json.is_array() && !json.empty() && json[0].is_object() &&
               !json[0].contains("role")) {
        for (const Json& one : json) {
            read_one(one, file);
        }
    } else if (json.is_object() || json.is_array()) {
        read_one(json, file);
    }
    const auto now = static_cast<int64_t>(std::time(nullptr));
    for (ExportedTree& tree : file.trees) {
        Conversation& c = tree.tree;
        if (c.title.empty() && !c.messages.empty()) {
            c.title = title_from(c.messages.front().content);
        }
        c.created_at = c.created_at ? c.created_at : now;
        c.updated_at = c.updated_at ? c.updated_at : c.created_at;
    }
    if (file.trees.empty() && file.problem.empty()) {
        file.problem = "it holds no conversation that is known here";
    }
    return file;
}

}  // namespace app
