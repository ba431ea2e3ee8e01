// PackDesk: the folders of the window - reads what is dropped, makes its pack anew when a person
// chooses in the picker, watches what was sent for changes, and knows the places in files that
// answers name. Writes AppState between frames. Main thread; reading happens on a worker.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "app/codebase/budget.h"
#include "app/codebase/ledger.h"
#include "app/codebase/pack.h"
#include "app/codebase/watch.h"
#include "app/window/app_state.h"
#include "app/window/worker.h"
#include "runtime/engine/engine_thread.h"

namespace app::window {

class PackDesk final : public PickerActions {
public:
    struct Host {
        AppState& state;
        const std::shared_ptr<const runtime::LoadedModel>& model;  // null: none is loaded
        std::filesystem::path cache;                               // of token counts
        std::filesystem::path roots;  // file that remembers where packs came from; empty: none
        std::function<void(Banner::Kind, const std::string&)> banner;
        std::function<void()> staged_changed;
        std::function<void()> wake;
        std::function<void(int64_t)> raise_context;  // loads the model again, with so many tokens
    };
    explicit PackDesk(Host host);
    ~PackDesk() override;

    bool reading() const { return reading_ != nullptr; }
    void attach(const std::vector<std::filesystem::path>& paths);
    void cancel();
    bool tick();  // true: something that is drawn changed

    // "keyhole-file:PATH:LINE": shows the file. False: the address is none of these.
    bool open(const std::string& address);

    void open_picker(size_t attachment) override;
    void close_picker() override;
    void set_level(const std::vector<size_t>& files, PickerLevel level) override;
    void toggle_focus(size_t file) override;
    void set_secrets(const std::vector<size_t>& files, PickerSecrets what) override;
    void take_proposal(size_t proposal) override;
    void append_changes() override;
    void ignore_changes() override;

private:
    using Key = codebase::ContentHash;  // of an attachment's text
    struct Folder {
        std::shared_ptr<const codebase::ScanResult> scanned;
        codebase::FileChoices choices;
        std::vector<codebase::Proposal> proposals;
    };
    struct Read {
        Attachment attachment;
        Key key;
        Folder folder;
        std::string note;
        bool cancelled = false;
    };
    struct Seen {  // of the conversation on screen, by root
        std::vector<std::unique_ptr<codebase::Ledger>> ledgers;
    };

    static Attachment attachment_of(codebase::Pack pack);
    static void name(Attachment& attachment);  // by its text
    static Key key_of(const Attachment& attachment);
    void take(std::vector<Read>& read, const std::string& error);
    void stage(Read read);
    void repack();
    void fill_picker();
    codebase::FileChoice& choice(size_t file);
    int64_t budget() const;
    int64_t larger_context() const;
    void follow_conversation();
    void look();
    void remember(const Key& key, const std::filesystem::path& root);
    void load_roots();

    Host host_;
    std::map<std::pair<uint64_t, uint64_t>, Folder> folders_;  // what is staged can be chosen from
    std::map<std::pair<uint64_t, uint64_t>, std::string> roots_;
    std::shared_ptr<codebase::ScanProgress> reading_;
    std::mutex arrived_mutex_;
    std::shared_ptr<const Attachment> arrived_;  // from the reader; guarded
    Key picked_;                                 // the attachment that the picker shows
    uint64_t pack_serial_ = 0;
    std::shared_ptr<codebase::ScanProgress> packing_;
    // What was sent in the conversation on screen.
    std::pair<int64_t, size_t> followed_{-1, 0};
    uint64_t follow_serial_ = 0;
    std::shared_ptr<Seen> seen_;
    std::shared_ptr<const codebase::Snapshot> snapshot_;
    std::shared_ptr<std::atomic<bool>> looked_;
    std::vector<std::unique_ptr<codebase::FolderWatch>> watches_;
    std::shared_ptr<std::atomic<bool>> disk_changed_ = std::make_shared<std::atomic<bool>>(false);
    bool looking_ = false;
    std::vector<std::array<uint64_t, 2>> ignored_;  // texts of changes that nobody wants
    Worker worker_;                                 // last: its jobs point to what is above
};

}  // namespace app::window
