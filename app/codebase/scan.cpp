#include "app/codebase/scan.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <optional>
#include <span>
#include <thread>
#include <unordered_map>

#include "app/codebase/count_cache.h"
#include "app/codebase/decode.h"
#include "app/codebase/order.h"
#include "app/codebase/walk.h"
#include "app/thread_priority.h"

namespace app::codebase {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int64_t kWorthNaming = 256;  // bytes from which a copy is named instead of repeated
constexpr auto kPublishEvery = std::chrono::milliseconds(250);
// Tokens per byte before anything was counted: source text lies between these.
constexpr double kLeastRatio = 0.15, kUsualRatio = 0.3, kMostRatio = 0.6;

// Dropping / or a home folder is nearly always a slip of the hand, and would read everything a
// person owns.
void refuse_huge_roots(const fs::path& root) {
    if (root == root.root_path()) {
        throw PackError("/ is the whole machine: choose a folder inside it");
    }
    const char* home = std::getenv("HOME");
    std::error_code error;
    const fs::path home_path = home && *home ? fs::weakly_canonical(home, error) : fs::path();
    if (home_path.empty()) {
        return;
    }
    const auto inside = std::mismatch(root.begin(), root.end(), home_path.begin(), home_path.end());
    if (inside.first == root.end()) {
        throw PackError(root.string() +
                        (root == home_path ? " is your home folder" : " holds your home folder") +
                        ": choose a project inside it");
    }
}

fs::path resolve(const fs::path& path) {
    std::error_code error;
    fs::path resolved = fs::canonical(path, error);
    if (error) {
        throw PackError(printable_path(path.string()) + ": " + error.message());
    }
    return resolved;
}

int64_t in_us(Clock::duration duration) {
    return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

class Scanner {
public:
    Scanner(const ScanSource& source,
            const runtime::Tokenizer* tokenizer,
            const ScanOptions& options,
            ScanProgress& progress)
        : tokenizer_(tokenizer), options_(options), progress_(progress) {
        result_.source = source;
        result_.wrapper = options.wrapper;
        result_.secrets = options.secrets;
        threads_ = options.threads > 0
                       ? options.threads
                       : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    }

    ScanResult run() {
        // While folders are walked, another thread reads the cache and knows the tokenizer.
        std::optional<CountCache> cache;
        std::thread opening;
        if (tokenizer_) {
            opening = std::thread([&] {
                cache.emplace(options_.cache,
                              options_.cache.empty() ? ContentHash{} : identity_of(*tokenizer_));
            });
        }
        walk();
        if (!cancelled()) {
            each([this](size_t i) { classify_file(i); });
        }
        if (!cancelled()) {
            name_copies();
            progress_.classified_us = in_us(Clock::now() - start_);
            publish();
        }
        if (opening.joinable()) {
            opening.join();
        }
        if (tokenizer_ && !cancelled()) {
            cache_ = &*cache;
            count_files();
            cache->save();
        }
        result_.cancelled = cancelled();
        if (!result_.cancelled) {
            progress_.counted_us = in_us(Clock::now() - start_);
            publish();
        }
        return std::move(result_);
    }

private:
    bool cancelled() const { return progress_.cancel.load(std::memory_order_relaxed); }
    static bool is_cancelled(const void* self) {
        return static_cast<const Scanner*>(self)->cancelled();
    }

    void publish() {
        if (progress_.snapshot_files == 0) {
            return;
        }
        auto copy = std::make_shared<ScanResult>();
        copy->source = result_.source;
        copy->wrapper = result_.wrapper;
        copy->secrets = result_.secrets;
        copy->note = result_.note;
        {
            const std::lock_guard lock(files_mutex_);
            const auto count =
                std::min(static_cast<int64_t>(result_.files.size()), progress_.snapshot_files);
            copy->files.assign(result_.files.begin(), result_.files.begin() + count);
        }
        published_ = Clock::now();
        progress_.publish(std::move(copy));
        if (options_.on_news) {
            options_.on_news();
        }
    }

    void walk() {
        const auto take = [this](std::span<const WalkedFile> found) {
            const std::lock_guard lock(files_mutex_);
            for (const WalkedFile& file : found) {
                ScannedFile entry;
                entry.path = file.path;
                entry.bytes = file.bytes;
                entry.regular = file.regular;
                entry.reason = file.reason;
                progress_.bytes += file.bytes;
                result_.files.push_back(std::move(entry));
            }
            progress_.found += static_cast<int64_t>(found.size());
            if (progress_.first_rows_us < 0 && !found.empty()) {
                progress_.first_rows_us = in_us(Clock::now() - start_);
            }
        };
        if (result_.source.files.empty()) {
            // The walk itself runs here; the rows so far are shown when it takes long.
            Walk walk = walk_folder(
                result_.source.root, &progress_.cancel,
                [&](auto found) {
                    take(found);
                    if (Clock::now() - published_ > kPublishEvery) {
                        publish();
                    }
                },
                options_.max_files);
            result_.note = walk.stopped;
        } else {
            std::vector<WalkedFile> files;
            for (const std::string& path : result_.source.files) {
                const FileStamp stamp = stamp_of(result_.source.root, path);
                const bool regular = stamp != FileStamp{};
                files.push_back({path, stamp.bytes, regular, regular ? "" : "device"});
            }
            take(files);
        }
        if (cancelled()) {
            return;
        }
        std::sort(result_.files.begin(), result_.files.end(),
                  [](const ScannedFile& a, const ScannedFile& b) { return a.path < b.path; });
        publish();
    }

    // Calls work(i) for all files on all threads; snapshots come out of the first one.
    template <typename Work>
    void each(Work work) {
        std::atomic<size_t> next{0};
        const auto run = [&](bool first) {
            if (options_.yields) {
                lower_thread_priority(10);
            }
            constexpr size_t kAtOnce = 8;
            for (;;) {
                const size_t begin = next.fetch_add(kAtOnce);
                if (begin >= result_.files.size()) {
                    return;
                }
                for (size_t i = begin; i < std::min(begin + kAtOnce, result_.files.size()); i++) {
                    if (cancelled()) {
                        return;
                    }
                    work(i);
                }
                if (first && Clock::now() - published_ > kPublishEvery) {
                    publish();
                }
            }
        };
        std::vector<std::thread> others;
        for (int i = 1; i < threads_; i++) {
            others.emplace_back([&] { run(false); });
        }
        // Not on the caller's thread: its priority is not this scan's to lower.
        std::thread first([&] { run(true); });
        first.join();
        for (std::thread& thread : others) {
            thread.join();
        }
    }

    void classify_file(size_t i) {
        ScannedFile& file = result_.files[i];
        if (!file.regular) {
            const std::lock_guard lock(files_mutex_);
            file.kind = FileKind::unreadable;
            file.stage = ScannedFile::Stage::classified;
        } else {
            FileText read = read_file_text(result_.source.root, file.path, options_.secrets);
            ElementMark mark;
            ContentHash content;
            std::string imports;
            if (read.has_text() || read.kind == FileKind::empty) {
                content = content_hash(read.text);
                mark = mark_of(options_.wrapper, read.text, content);
                imports = imports_of(file.path, read.text);
                imports.shrink_to_fit();
            }
            const std::lock_guard lock(files_mutex_);
            file.kind = read.kind;
            file.reason = std::move(read.reason);
            file.stamp = read.stamp;
            file.bytes = read.stamp.bytes;
            file.text_bytes = static_cast<int64_t>(read.text.size());
            file.plain = read.plain;
            file.secrets = read.secrets;
            file.mark = std::move(mark);
            file.content = content;
            file.imports = std::move(imports);
            file.stage = ScannedFile::Stage::classified;
        }
        progress_.classified.fetch_add(1, std::memory_order_relaxed);
    }

    // Equal contents are read once; the model is told where.
    void name_copies() {
        std::unordered_map<ContentHash, size_t, ContentHashBits> first;
        int64_t countable = 0, uncounted = 0;
        const std::lock_guard lock(files_mutex_);
        for (size_t i = 0; i < result_.files.size(); i++) {
            ScannedFile& file = result_.files[i];
            if (is_shown_by_default(file.kind) && file.text_bytes >= kWorthNaming) {
                const auto [at, is_new] = first.try_emplace(file.content, i);
                if (!is_new) {
                    file.kind = FileKind::duplicate;
                    file.reason = "the same as " + printable_path(result_.files[at->second].path);
                }
            }
            countable += static_cast<int64_t>(is_countable(file));
            uncounted += is_shown_by_default(file.kind) ? file.text_bytes : 0;
        }
        progress_.countable = countable;
        progress_.text_bytes = uncounted;
        progress_.bytes_uncounted = uncounted;
    }

    static bool is_countable(const ScannedFile& file) {
        return file.text_bytes > 0 || file.kind == FileKind::empty;
    }

    // What is shown by default first: its sum is the figure that people wait for.
    void count_files() {
        for (const bool shown : {true, false}) {
            each([this, shown](size_t i) {
                const ScannedFile& file = result_.files[i];
                if (is_countable(file) && is_shown_by_default(file.kind) == shown) {
                    count_file(i);
                }
            });
        }
    }

    void count_file(size_t i) {
        ScannedFile& file = result_.files[i];
        const ContentHash key = count_key(file.content, options_.wrapper);
        std::optional<int64_t> rest = cache_->find(key);
        if (!rest) {
            std::string text;
            if (!file.plain || !read_plain(result_.source.root, file.path, file.stamp, text)) {
                text = read_file_text(result_.source.root, file.path, options_.secrets).text;
                if (content_hash(text) != file.content) {
                    return;  // it changed since it was classified: make_pack() counts what it finds
                }
            }
            const int64_t tokens =
                count_tokens(*tokenizer_, element_rest(options_.wrapper, text, file.mark),
                             &Scanner::is_cancelled, this);
            if (tokens < 0) {
                return;
            }
            cache_->add(key, tokens);
            rest = tokens;
        }
        const int64_t tokens = *rest + tokenizer_->count(element_head(
                                           options_.wrapper, printable_path(file.path), file.mark));
        {
            const std::lock_guard lock(files_mutex_);
            file.tokens = tokens;
            file.stage = ScannedFile::Stage::counted;
        }
        progress_.counted.fetch_add(1, std::memory_order_relaxed);
        if (is_shown_by_default(file.kind)) {
            progress_.tokens.fetch_add(tokens, std::memory_order_relaxed);
            progress_.bytes_uncounted.fetch_sub(file.text_bytes, std::memory_order_relaxed);
        }
    }

    const runtime::Tokenizer* tokenizer_;
    const ScanOptions& options_;
    ScanProgress& progress_;
    const Clock::time_point start_ = Clock::now();
    Clock::time_point published_ = start_;
    int threads_ = 1;
    CountCache* cache_ = nullptr;
    std::mutex files_mutex_;  // entries are written under it, and read by publish(); their own
                              // worker reads them without
    ScanResult result_;
};

}  // namespace

bool is_shown_by_default(FileKind kind) {
    return kind == FileKind::text || kind == FileKind::empty;
}

ContentHash count_key(const ContentHash& content, const Wrapper& wrapper) {
    const uint64_t variant =
        static_cast<uint64_t>(wrapper.format) * 2 + static_cast<uint64_t>(wrapper.line_numbers) + 1;
    return {content.low ^ variant * 0x9E3779B97F4A7C15, content.high};
}

std::string ScanSource::name() const {
    return files.empty()       ? printable_path(root.filename().string()) + "/"
           : files.size() == 1 ? printable_path(files[0])
                               : std::to_string(files.size()) + " files";
}

std::vector<ScanSource> sources_of(const std::vector<fs::path>& paths) {
    std::vector<ScanSource> sources;
    std::map<fs::path, ScanSource> loose;
    for (const fs::path& path : paths) {
        const fs::path resolved = resolve(path);
        if (fs::is_directory(resolved)) {
            refuse_huge_roots(resolved);
            sources.push_back({resolved, {}});
        } else {
            ScanSource& source = loose[resolved.parent_path()];
            source.root = resolved.parent_path();
            source.files.push_back(resolved.filename().string());
        }
    }
    for (auto& [folder, source] : loose) {
        std::sort(source.files.begin(), source.files.end());
        source.files.erase(std::unique(source.files.begin(), source.files.end()),
                           source.files.end());
        sources.push_back(std::move(source));
    }
    return sources;
}

ScanProgress::Interval ScanProgress::interval() const {
    const int64_t exact = tokens, left = bytes_uncounted;
    if (classified_us < 0) {  // nothing is known but sizes on disk, of whatever is there
        return {0, static_cast<int64_t>(static_cast<double>(bytes) * kMostRatio)};
    }
    if (left <= 0) {
        return {exact, exact};
    }
    const int64_t done = text_bytes - left;
    const double met =
        done > 65'536 ? static_cast<double>(exact) / static_cast<double>(done) : kUsualRatio;
    return {
        exact + static_cast<int64_t>(static_cast<double>(left) * std::max(met * 0.7, kLeastRatio)),
        exact + static_cast<int64_t>(static_cast<double>(left) * std::min(met * 1.4, kMostRatio))};
}

std::shared_ptr<const ScanResult> ScanProgress::snapshot() const {
    const std::lock_guard lock(mutex_);
    return snapshot_;
}

void ScanProgress::publish(std::shared_ptr<const ScanResult> snapshot) {
    const std::lock_guard lock(mutex_);
    snapshot_ = std::move(snapshot);
}

ScanResult scan(const ScanSource& source,
                const runtime::Tokenizer* tokenizer,
                const ScanOptions& options,
                ScanProgress* progress) {
    ScanProgress own;
    return Scanner(source, tokenizer, options, progress ? *progress : own).run();
}

}  // namespace app::codebase
