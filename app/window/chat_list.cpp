// Chats, the part around the conversations: search, folders, trash, export and import.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "app/conversation_export.h"
#include "app/conversation_import.h"
#include "app/window/chats.h"
#include "app/window/format.h"

namespace app::window {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kMaxImportBytes = uintmax_t{1} << 30;

std::string counted(size_t count, const char* one, const char* many) {
    return count == 1 ? std::string("1 ") + one
                      : with_commas(static_cast<int64_t>(count)) + " " + many;
}

// Where a person looks for what a program saved.
fs::path export_folder(const fs::path& data) {
    std::error_code error;
    if (const char* home = std::getenv("HOME"); home && *home) {
        for (const char* name : {"Downloads", "Documents"}) {
            const fs::path folder = fs::path(home) / name;
            if (fs::is_directory(folder, error)) {
                return folder;
            }
        }
    }
    return data / "exports";
}

fs::path free_name(const fs::path& folder, const std::string& stem, const std::string& ending) {
    std::error_code error;
    fs::path path = folder / (stem + ending);
    for (int i = 2; fs::exists(path, error); i++) {
        path = folder / (stem + "-" + std::to_string(i) + ending);
    }
    return path;
}

}  // namespace

void Chats::search_changed() {
    SidebarView& view = host_.state.chat.sidebar;
    if (view.query.find_first_not_of(" \t") == std::string::npos) {
        view.hits.clear();
        view.found_for = view.query;
        view.searching = false;
        view.list_changed = true;
        return;
    }
    view.searching = true;
    search_wanted_ = true;
    start_search();
}

// One search at a time; what is typed meanwhile is looked for next.
void Chats::start_search() {
    if (!search_wanted_ || searching_) {
        return;
    }
    search_wanted_ = false;
    searching_ = true;
    const auto take = [this](const std::string& query, std::vector<SearchHit> hits) {
        searching_ = false;
        SidebarView& view = host_.state.chat.sidebar;
        view.hits = std::move(hits);
        view.found_for = query;
        view.searching = search_wanted_;
        view.list_changed = true;
        start_search();
    };
    const std::string query = host_.state.chat.sidebar.query;
    if (host_.store.in_memory()) {
        std::vector<SearchHit> hits;
        host_.store_call([&] { hits = host_.store.search(query); });
        take(query, std::move(hits));
        return;
    }
    search_worker_.add([take, query, path = host_.store.path()]() -> Worker::Done {
        auto hits = std::make_shared<std::vector<SearchHit>>();
        try {
            *hits = ConversationSearch(path).find(query);
        } catch (const StoreError&) {
            // A search that another program's write kept out finds nothing; typing on asks again.
        }
        return [take, query, hits] { take(query, std::move(*hits)); };
    });
}

void Chats::open_hit(size_t index) {
    AppState& state = host_.state;
    if (index >= state.chat.sidebar.hits.size()) {
        return;
    }
    const SearchHit hit = state.chat.sidebar.hits[index];
    const bool running = turns_.running() && turns_.conversation()->id == hit.conversation;
    if (hit.message != 0 && !running) {
        host_.store_call([&] { host_.store.show_message(hit.message); });
    }
    if (hit.conversation == state.conversation.id) {
        reload();
    } else {
        select(hit.conversation);
    }
    if (hit.message != 0) {
        state.jump = ChatJump{hit.message, state.chat.sidebar.found_for};
    }
}

void Chats::open_trash(bool open) {
    SidebarView& view = host_.state.chat.sidebar;
    view.trash_open = open;
    view.selected.clear();
    view.cursor = 0;
    refresh_list();
}

void Chats::set_pinned(const Ids& ids, bool pinned) {
    host_.store_call([&] {
        for (const int64_t id : ids) {
            host_.store.set_pinned(id, pinned);
        }
    });
    refresh_list();
}

void Chats::move_to_folder(const Ids& ids, int64_t folder) {
    host_.store_call([&] { host_.store.move_to_folder(ids, folder); });
    refresh_list();
}

void Chats::add_folder(const std::string& name, const Ids& ids) {
    host_.store_call([&] {
        const int64_t folder = host_.store.add_folder(name);
        host_.store.move_to_folder(ids, folder);
    });
    refresh_list();
}

void Chats::rename_folder(int64_t folder, const std::string& name) {
    host_.store_call([&] { host_.store.rename_folder(folder, name); });
    refresh_list();
}

void Chats::remove_folder(int64_t folder) {
    AppState& state = host_.state;
    const auto at =
        std::find_if(state.chat.sidebar.folders.begin(), state.chat.sidebar.folders.end(),
                     [&](const Folder& f) { return f.id == folder; });
    if (at == state.chat.sidebar.folders.end()) {
        return;
    }
    Ids inside;
    for (const ConversationSummary& item : state.conversations) {
        if (item.folder == folder) {
            inside.push_back(item.id);
        }
    }
    const std::string name = at->name;
    if (host_.store_call([&] { host_.store.remove_folder(folder); })) {
        host_.banner(
            Banner::Kind::info,
            "Removed the folder \u201C" + name + "\u201D; its conversations are in the list.",
            can_be_undone([this, name, inside] { add_folder(name, inside); }));
    }
    refresh_list();
}

void Chats::remove(const Ids& ids) {
    AppState& state = host_.state;
    const auto among = [&](int64_t id) {
        return std::find(ids.begin(), ids.end(), id) != ids.end();
    };
    if (ids.empty()) {
        return;
    }
    if (turns_.running() && among(turns_.conversation()->id)) {
        turns_.stop();
    }
    std::string what = counted(ids.size(), "conversation", "conversations");
    if (ids.size() == 1) {
        const auto item = std::find_if(state.conversations.begin(), state.conversations.end(),
                                       [&](const auto& c) { return c.id == ids[0]; });
        what = "\u201C" + (item == state.conversations.end() ? "" : item->title) + "\u201D";
    }
    if (host_.store_call([&] { host_.store.remove(ids); })) {
        host_.banner(Banner::Kind::info,
                     "Moved " + what + " to the trash, where it stays for " +
                         std::to_string(ConversationStore::kTrashDays) + " days.",
                     can_be_undone([this, ids] {
                         host_.store_call([&] { host_.store.restore(ids); });
                         refresh_list();
                     }));
    }
    if (among(state.conversation.id)) {
        new_conversation();
    }
    refresh_list();
}

void Chats::restore(const Ids& ids) {
    host_.store_call([&] { host_.store.restore(ids); });
    refresh_list();
}

void Chats::erase(const Ids& ids) {
    if (host_.store_call([&] { host_.store.erase(ids); })) {
        host_.banner(
            Banner::Kind::info,
            "Deleted " + counted(ids.size(), "conversation", "conversations") + " for good.", 0);
    }
    refresh_list();
}

void Chats::export_to_file(const Ids& ids, ExportFormat format) {
    if (ids.empty()) {
        return;
    }
    try {
        const fs::path folder = export_folder(host_.store.path().parent_path());
        fs::create_directories(folder);
        std::vector<fs::path> written;
        const auto write = [&](const std::string& stem, const std::string& ending,
                               const std::string& text) {
            const fs::path path = free_name(folder, stem, ending);
            std::ofstream out(path, std::ios::binary);
            out << text;
            out.close();
            if (!out) {
                throw std::runtime_error("cannot write " + path.string());
            }
            written.push_back(path);
        };
        if (format == ExportFormat::json) {
            std::vector<ExportedTree> trees;
            for (const int64_t id : ids) {
                if (auto tree = exported(id)) {
                    trees.push_back(std::move(*tree));
                }
            }
            write(trees.size() == 1 ? file_stem(trees[0].tree.title) : "keyhole-conversations",
                  ".json", to_json(trees));
        } else {
            for (const int64_t id : ids) {
                if (const auto conversation = host_.store.load(id)) {
                    const bool html = format == ExportFormat::html;
                    write(file_stem(conversation->title), html ? ".html" : ".md",
                          html ? to_html(*conversation) : to_markdown(*conversation));
                }
            }
        }
        host_.banner(Banner::Kind::info,
                     written.size() == 1 ? "Saved " + written[0].string()
                                         : "Saved " + counted(written.size(), "file", "files") +
                                               " in " + folder.string(),
                     0);
    } catch (const std::exception& error) {
        host_.banner(Banner::Kind::error, std::string("The export failed: ") + error.what(), 0);
    }
}

std::optional<ExportedTree> Chats::exported(int64_t id) {
    auto tree = host_.store.load_tree(id);
    const auto shown = host_.store.load(id);
    if (!tree || !shown) {
        return std::nullopt;
    }
    ExportedTree result;
    result.tree = std::move(*tree);
    result.shown = shown->messages.empty() ? 0 : shown->messages.back().id;
    for (const Folder& folder : host_.state.chat.sidebar.folders) {
        if (folder.id == result.tree.folder) {
            result.folder = folder.name;
        }
    }
    return result;
}

void Chats::copy_as_markdown(int64_t id) {
    host_.store_call([&] {
        if (const auto conversation = host_.store.load(id)) {
            host_.state.actions->copy(to_markdown(*conversation));
            host_.banner(Banner::Kind::info, "Copied the conversation as Markdown.", 0);
        }
    });
}

void Chats::import_file(const std::string& typed) {
    const char* home = std::getenv("HOME");
    const fs::path path = home && typed.starts_with("~/") ? home + typed.substr(1) : typed;
    host_.worker.add([this, path]() -> Worker::Done {
        auto file = std::make_shared<ImportedFile>();
        std::error_code error;
        const uintmax_t bytes = fs::file_size(path, error);
        std::ifstream in(path, std::ios::binary);
        if (error || !in) {
            file->problem = error ? error.message() : "it cannot be read";
        } else if (bytes > kMaxImportBytes) {
            file->problem = "it is larger than a gigabyte";
        } else {
            const std::string text{std::istreambuf_iterator<char>(in),
                                   std::istreambuf_iterator<char>()};
            *file = read_conversations(text);
        }
        return [this, file, path] { take_import(*file, path.string()); };
    });
}

void Chats::take_import(const ImportedFile& file, const std::string& path) {
    if (!file.problem.empty()) {
        host_.banner(Banner::Kind::error, path + " was not imported: " + file.problem + ".", 0);
        return;
    }
    Ids added;
    const bool stored = host_.store_call([&] {
        std::vector<Folder> folders = host_.store.folders();
        for (const ExportedTree& item : file.trees) {
            Conversation tree = item.tree;
            tree.folder = 0;
            if (!item.folder.empty()) {
                auto at = std::find_if(folders.begin(), folders.end(),
                                       [&](const Folder& f) { return f.name == item.folder; });
                if (at == folders.end()) {
                    folders.push_back({host_.store.add_folder(item.folder), item.folder});
                    at = folders.end() - 1;
                }
                tree.folder = at->id;
            }
            added.push_back(host_.store.add_tree(tree, item.shown));
        }
    });
    if (stored) {
        host_.banner(Banner::Kind::info,
                     "Imported " + counted(added.size(), "conversation", "conversations") +
                         (file.skipped ? "; " + counted(file.skipped, "entry", "entries") +
                                             " held no message"
                                       : "") +
                         ".",
                     can_be_undone([this, added] {
                         host_.store_call([&] { host_.store.remove(added); });
                         refresh_list();
                     }));
    }
    refresh_list();
}

}  // namespace app::window
