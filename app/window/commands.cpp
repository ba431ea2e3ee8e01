#include "app/window/commands.h"

#include <algorithm>
#include <cctype>

#include "app/presets.h"
#include "app/window/theme.h"

namespace app::window {
namespace {

void to_chat(AppState& state) {
    state.page = Page::chat;
    state.composer_focused = true;
}

void set_theme_name(AppState& state, const std::string& name) {
    if (state.settings_page.settings) {
        state.settings_page.settings->theme = name;
        state.settings_page.actions->settings_changed();
    }
}

const Message* last_answer(const AppState& state) {
    const auto& messages = state.conversation.messages;
    return !messages.empty() && messages.back().role == runtime::Role::assistant ? &messages.back()
                                                                                 : nullptr;
}

bool idle_with_answer(const AppState& state) {
    return last_answer(state) != nullptr && !state.generation.busy();
}

bool has_conversation(const AppState& state) {
    return state.conversation.id != 0 && state.chat.actions != nullptr;
}

size_t last_question(const AppState& state) {
    const auto& messages = state.conversation.messages;
    for (size_t i = messages.size(); i > 0; i--) {
        if (messages[i - 1].role == runtime::Role::user) {
            return i - 1;
        }
    }
    return messages.size();
}

std::deque<Banner>::const_iterator newest_undo(const AppState& state) {
    return std::find_if(state.banners.begin(), state.banners.end(),
                        [](const Banner& banner) { return banner.undo != 0; });
}

// What the words under every message do, for the keyboard: the newest first.
std::vector<PaletteItem> message_items(const AppState& state) {
    constexpr size_t kMost = 200;
    std::vector<PaletteItem> items;
    const auto& messages = state.conversation.messages;
    const bool free = !state.generation.busy();
    const bool can_ask = free && state.model.state == ModelView::State::ready;
    for (size_t i = messages.size(); i > 0 && messages.size() - i < kMost; i--) {
        const size_t index = i - 1;
        const Message& message = messages[index];
        const std::string words = title_from(
            message.content.empty() ? message.reasoning : message.content.substr(0, 400), 56);
        const bool question = message.role == runtime::Role::user;
        const std::string who = question ? "you" : "answer";
        const auto add = [&](const char* verb, std::function<void(AppState&)> run) {
            items.push_back({std::string(verb) + ": " + words, who, std::move(run)});
        };
        // The list may be older than the conversation by the time one chooses.
        const auto with = [index, id = message.id](auto act) {
            return [index, id, act](AppState& s) {
                if (index < s.conversation.messages.size() &&
                    s.conversation.messages[index].id == id) {
                    act(s, index);
                }
            };
        };
        if (!message.content.empty()) {
            add("Copy", with([](AppState& s, size_t at) {
                    s.actions->copy(s.conversation.messages[at].content);
                }));
        }
        if (question && free) {
            add("Edit", with([](AppState& s, size_t at) { s.chat.actions->begin_edit(at); }));
        }
        if (message.role == runtime::Role::assistant && can_ask) {
            add("Write again",
                with([](AppState& s, size_t at) { s.chat.actions->regenerate(at); }));
        }
        if (!message.reasoning.empty()) {
            add("Fold or unfold the thinking", with([](AppState& s, size_t at) {
                    if (at < s.layouts.size()) {
                        s.layouts[at].thinking_open = !s.layouts[at].thinking_open;
                        s.layouts[at].measured = false;
                    }
                }));
        }
        if (free && message.branch > 0) {
            add("Version before",
                with([](AppState& s, size_t at) { s.chat.actions->switch_branch(at, -1); }));
        }
        if (free && message.branch + 1 < message.branches) {
            add("Version after",
                with([](AppState& s, size_t at) { s.chat.actions->switch_branch(at, 1); }));
        }
        if (free && message.id != 0) {
            add("Delete", with([](AppState& s, size_t at) { s.chat.actions->delete_turn(at); }));
        }
    }
    return items;
}

void export_as(AppState& state, ExportFormat format) {
    state.chat.actions->export_to_file({state.conversation.id}, format);
}

}  // namespace

const std::vector<Command>& commands() {
    static const std::vector<Command> all = {
        {"Commands", {'K', true, false}, [](AppState& s) { open_palette(s); }},
        {"Commands (as in editors)", {'P', true, true}, [](AppState& s) { open_palette(s); }},
        {"New conversation",
         {'N', true, false},
         [](AppState& s) {
             s.actions->new_conversation();
             to_chat(s);
         }},
        {"Find in this conversation",
         {'F', true, false},
         [](AppState& s) {
             s.page = Page::chat;
             s.reading.find.requested = true;
         }},
        {"Search all conversations",
         {'F', true, true},
         [](AppState& s) {
             if (!s.sidebar) {
                 s.actions->toggle_sidebar();
             }
             s.chat.sidebar.focus_search = true;
         }},
        {"Show the chat", {'1', true, false}, to_chat},
        {"Models: find, plan and load",
         {'O', true, false},
         [](AppState& s) { s.page = Page::models; }},
        {"Another engine: connect to vLLM, SGLang, Keyhole",
         {'O', true, true},
         [](AppState& s) { s.page = Page::remote; }},
        {"Disconnect from the other engine",
         {},
         [](AppState& s) { s.remote.actions->disconnect_remote(); },
         [](const AppState& s) { return s.remote.state == RemoteView::State::on; }},
        {"Server: requests, keys, replay",
         {'E', true, false},
         [](AppState& s) { s.page = Page::server; }},
        {"Settings", {',', true, false}, [](AppState& s) { s.page = Page::settings; }},
        {"Show or hide the conversations",
         {'B', true, false},
         [](AppState& s) { s.actions->toggle_sidebar(); }},
        {"Memory in detail", {'G', true, false}, [](AppState& s) { s.gauge.open = !s.gauge.open; }},
        {"Thinking on or off",
         {'T', true, false},
         [](AppState& s) { s.actions->toggle_thinking(); }},
        {"Attach a file or folder by its path",
         {'U', true, false},
         [](AppState& s) {
             s.page = Page::chat;
             s.attach_open = true;
             s.composer_focused = true;
         }},
        {"Stop the answer",
         {},
         [](AppState& s) { s.actions->stop(); },
         [](const AppState& s) { return s.generation.busy(); }},
        {"Write the last answer again",
         {'R', true, false},
         [](AppState& s) { s.chat.actions->regenerate(s.conversation.messages.size() - 1); },
         idle_with_answer},
        {"Go on with the last answer",
         {'R', true, true},
         [](AppState& s) { s.chat.actions->continue_answer(); },
         idle_with_answer},
        {"Copy the last answer",
         {'Y', true, true},
         [](AppState& s) { s.actions->copy(last_answer(s)->content); },
         [](const AppState& s) { return last_answer(s) != nullptr; }},
        {"Messages: copy, edit, write again, versions",
         {'M', true, false},
         [](AppState& s) { open_palette(s, "What to do with which message", message_items(s)); },
         [](const AppState& s) { return !s.conversation.messages.empty(); }},
        {"Copy the memory's figures",
         {'G', true, true},
         [](AppState& s) { s.actions->copy(gauge_text(s)); }},
        {"Copy this conversation as Markdown",
         {},
         [](AppState& s) { s.chat.actions->copy_as_markdown(s.conversation.id); },
         has_conversation},
        {"Export this conversation as Markdown",
         {},
         [](AppState& s) { export_as(s, ExportFormat::markdown); },
         has_conversation},
        {"Export this conversation as HTML",
         {},
         [](AppState& s) { export_as(s, ExportFormat::html); },
         has_conversation},
        {"Export this conversation as JSON",
         {},
         [](AppState& s) { export_as(s, ExportFormat::json); },
         has_conversation},
        {"Import conversations", {}, [](AppState& s) { s.chat.sidebar.importing = true; }},
        {"Delete this conversation",
         {},
         [](AppState& s) { s.actions->remove_conversation(s.conversation.id); },
         has_conversation},
        {"Delete the last turn",
         {},
         [](AppState& s) { s.chat.actions->delete_turn(last_question(s)); },
         [](const AppState& s) { return has_conversation(s) && !s.generation.busy(); }},
        {"Take back what was deleted",
         {'U', true, true},
         [](AppState& s) {
             const auto banner = newest_undo(s);
             const uint64_t undo = banner->undo, id = banner->id;
             s.chat.actions->undo(undo);
             s.actions->dismiss_banner(id);
         },
         [](const AppState& s) { return newest_undo(s) != s.banners.end(); }},
        {"Trash", {}, [](AppState& s) { s.chat.actions->open_trash(true); }},
        {"Next theme",
         {'L', true, true},
         [](AppState& s) {
             if (s.settings_page.settings) {
                 set_theme_name(s, name_of(next(theme_named(s.settings_page.settings->theme))));
             }
         }},
        {"Theme: dark", {}, [](AppState& s) { set_theme_name(s, name_of(Theme::dark)); }},
        {"Theme: light", {}, [](AppState& s) { set_theme_name(s, name_of(Theme::light)); }},
        {"Theme: high contrast",
         {},
         [](AppState& s) { set_theme_name(s, name_of(Theme::high_contrast)); }},
        {"Larger", {'=', true, false}, [](AppState& s) { s.actions->zoom(1); }},
        {"Smaller", {'-', true, false}, [](AppState& s) { s.actions->zoom(-1); }},
        {"As large as intended", {'0', true, false}, [](AppState& s) { s.actions->zoom(0); }},
        {"Start the server",
         {},
         [](AppState& s) { s.server_page.actions->start_server(); },
         [](const AppState& s) { return s.server_page.state == ServerPage::State::off; }},
        {"Stop the server",
         {},
         [](AppState& s) { s.server_page.actions->stop_server(); },
         [](const AppState& s) { return s.server_page.state == ServerPage::State::on; }},
        {"Copy the server's address",
         {},
         [](AppState& s) { s.actions->copy(s.server_page.url + "/v1"); },
         [](const AppState& s) { return s.server_page.state == ServerPage::State::on; }},
    };
    return all;
}

std::string shortcut_text(const Shortcut& shortcut) {
    if (shortcut.key == 0) {
        return "";
    }
    return std::string(shortcut.ctrl ? "Ctrl+" : "") + (shortcut.shift ? "Shift+" : "") +
           static_cast<char>(shortcut.key);
}

bool run_shortcut(AppState& state, const Shortcut& pressed) {
    for (const Command& command : commands()) {
        const Shortcut& own = command.shortcut;
        if (own.key != 0 && own.key == pressed.key && own.ctrl == pressed.ctrl &&
            own.shift == pressed.shift) {
            if (!command.possible || command.possible(state)) {
                command.run(state);
            }
            return true;
        }
    }
    return false;
}

const std::vector<KeyNote>& key_notes() {
    static const std::vector<KeyNote> notes = {
        {"Enter", "Send what is written"},
        {"Shift+Enter", "A new line"},
        {"Escape", "Stop the answer; close what is open; back to the chat"},
        {"Up, Down", "At the edge of the text: what was asked before"},
        {"Ctrl+A", "Select the text, then the whole message, then the conversation"},
        {"Ctrl+C", "Copy what is selected as it reads"},
        {"Ctrl+Shift+C", "Copy what is selected as Markdown"},
        {"Arrows, Space", "On the pages: from one control to the next, and press it"},
        {"+ and -", "On a slider: a little more or less"},
        {"Page Up, Page Down", "Scroll the conversation"},
    };
    return notes;
}

int match_score(const std::string& query, const std::string& text) {
    if (query.empty()) {
        return 1;
    }
    const auto lower = [](char c) {
        return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    };
    int score = 1;
    size_t at = 0;
    bool together = false;
    for (const char wanted : query) {
        if (wanted == ' ') {
            together = false;
            continue;
        }
        size_t found = at;
        // The beginning of a word is what people type; then the next letter; then any.
        if (!(together && at < text.size() && lower(text[at]) == lower(wanted))) {
            size_t word = at;
            while (word < text.size() &&
                   !(lower(text[word]) == lower(wanted) && (word == 0 || text[word - 1] == ' '))) {
                word++;
            }
            found = word;
            if (found == text.size()) {
                found = at;
                while (found < text.size() && lower(text[found]) != lower(wanted)) {
                    found++;
                }
            }
        }
        if (found == text.size()) {
            return 0;
        }
        const bool begins = found == 0 || text[found - 1] == ' ';
        score += begins ? 8 : together && found == at ? 5 : 1;
        together = true;
        at = found + 1;
    }
    return score * 16 - static_cast<int>(std::min<size_t>(text.size(), 15));
}

std::vector<PaletteItem> palette_items(const AppState& state) {
    std::vector<PaletteItem> items;
    for (const Command& command : commands()) {
        if (command.run == commands().front().run || command.shortcut.key == 'P' ||
            (command.possible && !command.possible(state))) {
            continue;
        }
        items.push_back({command.title, shortcut_text(command.shortcut),
                         [run = command.run](AppState& s) { run(s); }});
    }
    if (const Settings* settings = state.settings_page.settings) {
        for (const Preset& preset : all_presets(*settings)) {
            items.push_back({"Preset: " + preset.name,
                             preset.name == settings->preset ? "in use" : "",
                             [name = preset.name](AppState& s) {
                                 s.settings_page.actions->choose_preset(name);
                             }});
        }
    }
    for (const ModelEntry& entry : state.models.entries) {
        if (entry.file.bytes > 0 && (entry.recent || entry.demo)) {
            items.push_back(
                {"Load " + entry.file.name, entry.demo ? "demo" : "model",
                 [path = entry.file.path](AppState& s) { s.actions->load_model(path); }});
        }
    }
    for (const RemoteView::Model& model : state.remote.models) {
        items.push_back(
            {"Answer with " + model.id + " of " + state.remote.host,
             model.id == state.remote.model ? "in use" : "other engine",
             [id = model.id](AppState& s) { s.remote.actions->choose_remote_model(id); }});
    }
    for (const ConversationSummary& summary : state.conversations) {
        items.push_back({summary.title, "conversation", [id = summary.id](AppState& s) {
                             s.actions->select_conversation(id);
                             to_chat(s);
                         }});
    }
    return items;
}

void open_palette(AppState& state) {
    open_palette(state, "Type what to do, or a conversation's name", palette_items(state));
}

void open_palette(AppState& state, const std::string& hint, std::vector<PaletteItem> items) {
    PaletteView& view = state.command_palette;
    view.requested = true;
    view.focused = true;
    view.hint = hint;
    view.items = std::move(items);
    view.query.start("", 0);
    view.matched = ~uint64_t{0};
    view.cursor = 0;
}

}  // namespace app::window
