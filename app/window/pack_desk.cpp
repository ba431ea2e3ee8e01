#include "app/window/pack_desk.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "app/codebase/citations.h"
#include "app/codebase/decode.h"
#include "app/window/format.h"

namespace app::window {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kScheme = "keyhole-file:";
constexpr size_t kMaxRoots = 500, kMaxViewed = 200'000;  // lines of one file

std::pair<uint64_t, uint64_t> slot(const codebase::ContentHash& key) {
    return {key.low, key.high};
}

PickerLevel level_of(codebase::FileStatus status) {
    return static_cast<PickerLevel>(status);
}
static_assert(static_cast<int>(codebase::FileStatus::left_out) ==
              static_cast<int>(PickerLevel::left_out));

codebase::SecretPolicy policy_of(PickerSecrets secrets) {
    return secrets == PickerSecrets::mask        ? codebase::SecretPolicy::mask
           : secrets == PickerSecrets::leave_out ? codebase::SecretPolicy::leave_out
                                                 : codebase::SecretPolicy::allow;
}

PickerSecrets secrets_of(codebase::SecretPolicy policy) {
    return policy == codebase::SecretPolicy::mask        ? PickerSecrets::mask
           : policy == codebase::SecretPolicy::leave_out ? PickerSecrets::leave_out
                                                         : PickerSecrets::allow;
}

constexpr int64_t kArrivingRows = 1000;  // shown while a folder is read

std::shared_ptr<const Attachment> rows_so_far(const codebase::ScanResult& scan) {
    std::vector<AttachedFile> files;
    for (const codebase::ScannedFile& file : scan.files) {
        const codebase::FileStatus status = codebase::default_status(file);
        files.push_back(
            {codebase::printable_path(file.path), file.reason, file.tokens,
             status == codebase::FileStatus::full || status == codebase::FileStatus::outline});
    }
    auto rows = std::make_shared<Attachment>();
    rows->name = scan.source.name();
    rows->files = std::move(files);
    return rows;
}

std::vector<std::array<uint64_t, 2>> texts_of(const ChangesView& changes) {
    std::vector<std::array<uint64_t, 2>> texts;
    for (const Attachment& attachment : changes.attachments) {
        texts.push_back(attachment.text_hash);
    }
    return texts;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (size_t at = 0; at < text.size() && lines.size() < kMaxViewed;) {
        const size_t end = std::min(text.find('\n', at), text.size());
        lines.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return lines;
}

}  // namespace

PackDesk::PackDesk(Host host) : host_(std::move(host)), worker_(host_.wake) {
    host_.state.picker.actions = this;
    load_roots();
}

PackDesk::~PackDesk() {
    cancel();
    if (packing_) {
        packing_->cancel = true;
    }
    if (looked_) {
        *looked_ = true;
    }
    watches_.clear();
}

Attachment PackDesk::attachment_of(codebase::Pack pack) {
    std::vector<AttachedFile> files;
    for (codebase::PackedFile& file : pack.files) {
        const bool shown = file.status == codebase::FileStatus::full ||
                           file.status == codebase::FileStatus::outline;
        files.push_back({std::move(file.path), std::move(file.reason), file.tokens, shown});
    }
    Attachment attachment{pack.root, std::move(pack.text), pack.tokens, std::move(files)};
    name(attachment);
    return attachment;
}

// Of megabytes it takes milliseconds: known of what was read here, made for what the store kept.
void PackDesk::name(Attachment& attachment) {
    const Key key = codebase::content_hash(attachment.text);
    attachment.text_hash = {key.low, key.high};
}

PackDesk::Key PackDesk::key_of(const Attachment& attachment) {
    const Key known{attachment.text_hash[0], attachment.text_hash[1]};
    return known == Key{} ? codebase::content_hash(attachment.text) : known;
}

void PackDesk::attach(const std::vector<fs::path>& paths) {
    reading_ = std::make_shared<codebase::ScanProgress>();
    reading_->snapshot_files = kArrivingRows;
    host_.state.packing = {
        true,
        codebase::printable_path(paths.size() == 1 ? paths[0].lexically_normal().filename().string()
                                                   : std::to_string(paths.size()) + " things"),
        0, 0, nullptr};
    worker_.add([this, paths, progress = reading_, model = host_.model,
                 cache = host_.cache]() -> Worker::Done {
        auto read = std::make_shared<std::vector<Read>>();
        std::string error;
        const runtime::Tokenizer* tokenizer = model ? model->tokenizer.get() : nullptr;
        try {
            codebase::ScanOptions how;
            how.cache = cache;
            how.yields = true;
            how.on_news = [this, progress] {
                auto rows = rows_so_far(*progress->snapshot());
                {
                    const std::lock_guard lock(arrived_mutex_);
                    arrived_ = std::move(rows);
                }
                host_.wake();
            };
            for (const auto& source : codebase::sources_of(paths)) {
                Read each;
                auto scanned = std::make_shared<const codebase::ScanResult>(
                    codebase::scan(source, tokenizer, how, progress.get()));
                codebase::Pack pack = codebase::make_pack(*scanned, tokenizer, {}, progress.get());
                each.cancelled = pack.cancelled;
                each.note = pack.note;
                each.attachment = attachment_of(std::move(pack));
                each.key = key_of(each.attachment);
                each.folder.scanned = std::move(scanned);
                read->push_back(std::move(each));
            }
        } catch (const std::exception& failure) {
            error = failure.what();
        }
        return [this, read, error, model] {
            if (!model && host_.model) {  // it came while the folder was read
                worker_.add([this, read, error, came = host_.model]() -> Worker::Done {
                    for (Read& each : *read) {
                        each.attachment.tokens = came->tokenizer->count(each.attachment.text);
                    }
                    return [this, read, error] { take(*read, error); };
                });
            } else {
                take(*read, error);
            }
        };
    });
}

void PackDesk::take(std::vector<Read>& read, const std::string& error) {
    reading_.reset();
    {
        const std::lock_guard lock(arrived_mutex_);
        arrived_.reset();
    }
    host_.state.packing = {};
    if (!error.empty()) {
        host_.banner(Banner::Kind::error, error);
    }
    for (Read& each : read) {
        if (!each.cancelled) {
            stage(std::move(each));
        }
    }
    host_.state.composer_focused = true;
    host_.staged_changed();
}

void PackDesk::stage(Read read) {
    AppState& state = host_.state;
    const std::string& name = read.attachment.name;
    if (!read.note.empty()) {
        host_.banner(Banner::Kind::warning, name + ": " + read.note + ".");
    }
    if (read.attachment.text.empty()) {
        host_.banner(Banner::Kind::warning, name + " holds no text that can be read.");
        return;
    }
    const bool fits = state.context.limit == 0 || read.attachment.tokens <= state.context.free();
    remember(read.key, read.folder.scanned->source.root);
    folders_[slot(read.key)] = std::move(read.folder);
    state.staged.push_back(std::move(read.attachment));
    if (!fits) {
        open_picker(state.staged.size() - 1);
    }
}

void PackDesk::cancel() {
    if (reading_) {
        reading_->cancel = true;
    }
}

bool PackDesk::tick() {
    bool changed = worker_.deliver();
    AppState& state = host_.state;
    if (reading_) {
        const int64_t files = reading_->classified, tokens = reading_->tokens,
                      found = reading_->found;
        changed = changed || files != state.packing.files || tokens != state.packing.tokens ||
                  found != state.packing.found;
        state.packing.found = found;
        state.packing.files = files;
        state.packing.tokens = tokens;
        const std::lock_guard lock(arrived_mutex_);
        if (arrived_) {
            state.packing.arriving = std::exchange(arrived_, nullptr);
            changed = true;
        }
    }
    if (state.picker.open && state.picker.budget != budget()) {
        state.picker.budget = budget();
        changed = true;
    }
    follow_conversation();
    if (seen_ && !looking_ && disk_changed_->exchange(false)) {
        look();
    }
    return changed;
}

// --- choosing

int64_t PackDesk::budget() const {
    const AppState& state = host_.state;
    if (state.context.limit == 0) {
        return 0;
    }
    int64_t others = state.context.used() - state.context.codebase;
    for (const Message& message : state.conversation.messages) {
        for (const Attachment& attachment : message.attachments) {
            others += attachment.left_out ? 0 : attachment.tokens;
        }
    }
    for (const Attachment& attachment : state.staged) {
        others += attachment.name == state.picker.root ? 0 : attachment.tokens;
    }
    return std::max<int64_t>(0, state.context.limit - state.context.reserve - others);
}

void PackDesk::open_picker(size_t attachment) {
    AppState& state = host_.state;
    if (attachment >= state.staged.size()) {
        return;
    }
    const Key key = key_of(state.staged[attachment]);
    if (!folders_.contains(slot(key))) {
        host_.banner(Banner::Kind::info, state.staged[attachment].name +
                                             " was read earlier; drop it again to choose from it.");
        return;
    }
    picked_ = key;
    PickerView& picker = state.picker;
    picker.open = true;
    picker.filter.set("");
    picker.filter_focused = false;
    picker.closed.clear();
    picker.cursor.clear();
    state.composer_focused = false;
    fill_picker();
    repack();  // for the proposals
}

void PackDesk::close_picker() {
    host_.state.picker.open = false;
    host_.state.composer_focused = true;
}

void PackDesk::fill_picker() {
    const auto at = folders_.find(slot(picked_));
    if (at == folders_.end()) {
        return close_picker();
    }
    AppState& state = host_.state;
    const Folder& folder = at->second;
    const auto staged =
        std::find_if(state.staged.begin(), state.staged.end(),
                     [this](const Attachment& each) { return key_of(each) == picked_; });
    if (staged == state.staged.end()) {
        return close_picker();
    }
    std::map<std::string_view, const AttachedFile*> shown;
    for (const AttachedFile& file : staged->files) {
        shown[file.path] = &file;
    }
    PickerView& picker = state.picker;
    picker.root = staged->name;
    picker.tokens = staged->tokens;
    picker.budget = budget();
    picker.bytes_per_token = state.memory.kv_cache.bytes_per_token;
    picker.files.clear();
    for (const codebase::ScannedFile& file : folder.scanned->files) {
        PickerFile out;
        out.path = codebase::printable_path(file.path);
        out.reason = file.reason;
        out.bytes = file.bytes;
        out.tokens = file.tokens;
        out.found_secrets = file.secrets;
        out.level = level_of(codebase::default_status(file));
        out.selectable = file.regular && file.kind != codebase::FileKind::binary &&
                         file.kind != codebase::FileKind::unreadable &&
                         file.bytes <= codebase::kMaxAskedBytes;
        if (const auto chosen = folder.choices.find(file.path); chosen != folder.choices.end()) {
            out.level = level_of(chosen->second.status);
            out.focus = chosen->second.focus;
            out.secrets = secrets_of(chosen->second.secrets);
        }
        if (const auto seen = shown.find(out.path); seen != shown.end()) {
            out.shown = seen->second->tokens;
            if (!seen->second->included && out.level == PickerLevel::outline) {
                out.level = PickerLevel::name;  // it has none
            }
            if (!seen->second->reason.empty()) {
                out.reason = seen->second->reason;
            }
        }
        picker.files.push_back(std::move(out));
    }
    picker.proposals.clear();
    for (const codebase::Proposal& proposal : folder.proposals) {
        picker.proposals.push_back({proposal.text, proposal.tokens, proposal.fits});
    }
    // Last, since it costs most: the model is loaded again.
    if (const int64_t context = larger_context(); context > 0) {
        const int64_t bytes = (context - state.context.limit) * picker.bytes_per_token;
        const int64_t free = state.memory.devices.empty() ? 0 : state.memory.devices[0].free_bytes;
        picker.proposals.push_back({"a context of " + with_commas(context) +
                                        " tokens, loading the model again (" + bytes_text(bytes) +
                                        " more K cache, " + bytes_text(free) + " free)",
                                    picker.tokens, bytes <= free});
    }
    picker.revision++;
}

codebase::FileChoice& PackDesk::choice(size_t file) {
    Folder& folder = folders_.at(slot(picked_));
    const codebase::ScannedFile& scanned = folder.scanned->files[file];
    const auto [at, is_new] = folder.choices.try_emplace(scanned.path);
    if (is_new) {
        at->second.status = codebase::default_status(scanned);
    }
    return at->second;
}

void PackDesk::set_level(const std::vector<size_t>& files, PickerLevel level) {
    PickerView& picker = host_.state.picker;
    for (const size_t file : files) {
        if (file < picker.files.size()) {
            codebase::FileChoice& chosen = choice(file);
            chosen.status = static_cast<codebase::FileStatus>(level);
            // Ticked by hand, a file whose name says that it holds secrets is shown with its
            // values masked, where they are known; that is what a tick means everywhere.
            chosen.first_line = chosen.last_line = 0;
            picker.files[file].level = level;
        }
    }
    picker.revision++;
    repack();
}

void PackDesk::toggle_focus(size_t file) {
    if (file < host_.state.picker.files.size()) {
        codebase::FileChoice& chosen = choice(file);
        chosen.focus = !chosen.focus;
        host_.state.picker.files[file].focus = chosen.focus;
        host_.state.picker.revision++;
        repack();
    }
}

void PackDesk::set_secrets(const std::vector<size_t>& files, PickerSecrets what) {
    PickerView& picker = host_.state.picker;
    for (const size_t file : files) {
        if (file < picker.files.size()) {
            choice(file).secrets = policy_of(what);
            picker.files[file].secrets = what;
        }
    }
    picker.revision++;
    repack();
}

// The context in which the pack as it is would fit; 0: it fits, or no such context can be had.
int64_t PackDesk::larger_context() const {
    constexpr int64_t kStep = 1024;
    const AppState& state = host_.state;
    const PickerView& picker = state.picker;
    if (!host_.model || !host_.raise_context || picker.budget == 0 ||
        picker.tokens <= picker.budget) {
        return 0;
    }
    const int64_t needed = state.context.limit + picker.tokens - picker.budget;
    const int64_t context =
        std::min((needed + kStep - 1) / kStep * kStep, host_.model->config.context_length);
    return context >= needed ? context : 0;
}

void PackDesk::take_proposal(size_t proposal) {
    Folder& folder = folders_.at(slot(picked_));
    if (proposal == folder.proposals.size()) {
        if (const int64_t context = larger_context(); context > 0) {
            host_.banner(Banner::Kind::info, "The model is loaded again, with a context of " +
                                                 with_commas(context) + " tokens.");
            host_.raise_context(context);
        }
        return;
    }
    if (proposal < folder.proposals.size()) {
        folder.choices = codebase::FileChoices(folder.proposals[proposal].choices);
        repack();
    }
}

// The pack with the choices in force, in place of the one that is staged.
void PackDesk::repack() {
    if (packing_) {
        packing_->cancel = true;
    }
    packing_ = std::make_shared<codebase::ScanProgress>();
    host_.state.picker.working = true;
    Folder& folder = folders_.at(slot(picked_));
    worker_.add([this, serial = ++pack_serial_, progress = packing_, model = host_.model,
                 scanned = folder.scanned, choices = folder.choices, room = budget(),
                 old = picked_]() -> Worker::Done {
        auto read = std::make_shared<Read>();
        const runtime::Tokenizer* tokenizer = model ? model->tokenizer.get() : nullptr;
        codebase::PackOptions options;
        options.choices = choices;
        codebase::Pack pack = codebase::make_pack(*scanned, tokenizer, options, progress.get());
        read->cancelled = pack.cancelled;
        if (!pack.cancelled && tokenizer && room > 0 && pack.tokens > room) {
            read->folder.proposals =
                codebase::propose(*scanned, choices, *tokenizer, room, progress.get());
        }
        read->attachment = attachment_of(std::move(pack));
        read->key = key_of(read->attachment);
        read->folder.scanned = scanned;
        read->folder.choices = choices;
        return [this, serial, read, old] {
            if (serial != pack_serial_ || read->cancelled) {
                return;
            }
            packing_.reset();
            AppState& state = host_.state;
            state.picker.working = false;
            for (Attachment& staged : state.staged) {
                if (key_of(staged) == old) {
                    remember(read->key, read->folder.scanned->source.root);
                    folders_.erase(slot(old));
                    folders_[slot(read->key)] = std::move(read->folder);
                    picked_ = read->key;
                    staged = std::move(read->attachment);
                    break;
                }
            }
            fill_picker();
            host_.staged_changed();
        };
    });
}

// --- what was sent, and what has changed since

void PackDesk::load_roots() {
    std::ifstream file(host_.roots);
    std::string line;
    while (std::getline(file, line)) {
        unsigned long long low = 0, high = 0;
        int end = 0;
        if (std::sscanf(line.c_str(), "%16llx%16llx %n", &low, &high, &end) == 2 && end == 33) {
            roots_[{low, high}] = line.substr(33);
        }
    }
}

void PackDesk::remember(const Key& key, const fs::path& root) {
    const std::string path = root.string();
    if (path.find('\n') != std::string::npos || !roots_.insert({slot(key), path}).second ||
        host_.roots.empty()) {
        return;
    }
    // Kept beside the conversations, so that these know their folders at the next start.
    const bool full = roots_.size() > kMaxRoots;
    if (full) {
        roots_ = {{slot(key), path}};
    }
    std::error_code ignored;
    fs::create_directories(host_.roots.parent_path(), ignored);
    std::ofstream file(host_.roots, full ? std::ios::trunc : std::ios::app);
    char text[40];
    std::snprintf(text, sizeof text, "%016llx%016llx ", static_cast<unsigned long long>(key.low),
                  static_cast<unsigned long long>(key.high));
    file << text << path << '\n';
}

void PackDesk::follow_conversation() {
    AppState& state = host_.state;
    std::vector<const Attachment*> sent;
    for (const Message& message : state.conversation.messages) {
        for (const Attachment& attachment : message.attachments) {
            if (!attachment.left_out) {
                sent.push_back(&attachment);
            }
        }
    }
    const std::pair now{state.conversation.id, sent.size()};
    if (now == followed_) {
        return;
    }
    followed_ = now;
    watches_.clear();
    seen_.reset();
    snapshot_.reset();
    state.changes = {};
    state.links = {};
    state.links_revision++;
    follow_serial_++;
    if (sent.empty()) {
        return;
    }
    std::vector<std::pair<std::string, SharedText>> texts;  // name, text
    for (const Attachment* attachment : sent) {
        texts.emplace_back(attachment->name, attachment->text);
    }
    worker_.add([this, texts = std::move(texts), roots = roots_,
                 serial = follow_serial_]() -> Worker::Done {
        auto all = std::make_shared<codebase::Snapshot>();
        std::map<std::string, std::pair<std::string, codebase::Snapshot>> by_root;
        for (const auto& [name, text] : texts) {
            all->add(text);
            const auto root = roots.find(slot(codebase::content_hash(text)));
            if (root != roots.end()) {
                auto& [known_name, snapshot] = by_root[root->second];
                known_name = known_name.empty() ? name : known_name;
                snapshot.add(text);
            }
        }
        auto seen = std::make_shared<Seen>();
        for (auto& [root, named] : by_root) {
            seen->ledgers.push_back(
                std::make_unique<codebase::Ledger>(root, named.first, std::move(named.second)));
        }
        return [this, all, seen, serial] {
            if (serial != follow_serial_) {
                return;
            }
            snapshot_ = all;
            seen_ = seen;
            host_.state.links = [all](std::string_view text) {
                std::vector<FoundLink> links;
                for (const codebase::Citation& citation : codebase::find_citations(text, *all)) {
                    links.push_back(
                        {citation.begin, citation.end,
                         std::string(kScheme) + citation.path + ":" + std::to_string(citation.line),
                         !citation.line_exists});
                }
                return links;
            };
            host_.state.links_revision++;
            for (const auto& ledger : seen->ledgers) {
                watches_.push_back(std::make_unique<codebase::FolderWatch>(
                    ledger->root(), ledger->folders(), [flag = disk_changed_, wake = host_.wake] {
                        *flag = true;
                        wake();
                    }));
            }
            *disk_changed_ = true;  // it may have changed while nobody watched
        };
    });
}

void PackDesk::look() {
    if (!host_.model) {
        return;
    }
    looking_ = true;
    looked_ = std::make_shared<std::atomic<bool>>(false);
    worker_.add([this, seen = seen_, model = host_.model, cancel = looked_,
                 serial = follow_serial_]() -> Worker::Done {
        ChangesView changes;
        for (const auto& ledger : seen->ledgers) {
            const codebase::Revision revision = ledger->look(*model->tokenizer, cancel.get());
            if (revision.empty()) {
                continue;
            }
            Attachment attachment;
            std::vector<AttachedFile> files;
            attachment.name =
                std::to_string(revision.changes.size()) +
                (revision.changes.size() == 1 ? " changed file of " : " changed files of ") +
                ledger->root().filename().string() + "/";
            attachment.text = revision.text;
            name(attachment);
            attachment.tokens = revision.tokens;
            for (const codebase::Change& change : revision.changes) {
                files.push_back(
                    {change.path, change.gone ? "gone" : "", change.tokens, !change.gone});
            }
            attachment.files = std::move(files);
            changes.files += revision.changes.size();
            changes.tokens += revision.tokens;
            changes.roots.push_back(ledger->root().string());
            changes.attachments.push_back(std::move(attachment));
        }
        return [this, changes, serial]() mutable {
            looking_ = false;
            if (serial != follow_serial_) {
                return;
            }
            if (texts_of(changes) == ignored_) {
                changes = {};
            }
            host_.state.changes = std::move(changes);
        };
    });
}

void PackDesk::append_changes() {
    AppState& state = host_.state;
    for (size_t i = 0; i < state.changes.attachments.size(); i++) {
        Attachment& attachment = state.changes.attachments[i];
        remember(key_of(attachment), state.changes.roots[i]);
        state.staged.push_back(std::move(attachment));
    }
    state.changes = {};
    host_.staged_changed();
}

void PackDesk::ignore_changes() {
    ignored_ = texts_of(host_.state.changes);
    host_.state.changes = {};
}

// --- places that answers name

bool PackDesk::open(const std::string& address) {
    if (!address.starts_with(kScheme)) {
        return false;
    }
    const size_t colon = address.rfind(':');
    const std::string path = address.substr(kScheme.size(), colon - kScheme.size());
    const int64_t line = std::atoll(address.c_str() + colon + 1);
    const auto file = snapshot_ ? snapshot_->files().find(path)
                                : std::map<std::string, codebase::SeenFile>::const_iterator();
    if (!snapshot_ || file == snapshot_->files().end()) {
        return true;
    }
    FileViewer& viewer = host_.state.viewer;
    viewer = {};
    viewer.open = true;
    viewer.path = path;
    viewer.lines = lines_of(file->second.content);
    viewer.first_line = file->second.first_line;
    viewer.line = line;
    viewer.scroll_to_line = line > 0;
    if (line > 0 && !codebase::has_line(file->second, line)) {
        viewer.note = "The model was shown no line " + std::to_string(line) + " of this file";
    }
    for (const Attachment& attachment : host_.state.changes.attachments) {
        for (const AttachedFile& changed : attachment.files) {
            if (changed.path == path) {
                viewer.note += (viewer.note.empty() ? "" : ". ");
                viewer.note += changed.included ? "The file has changed since the model saw it"
                                                : "The file is gone since the model saw it";
            }
        }
    }
    return true;
}

}  // namespace app::window
