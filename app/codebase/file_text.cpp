#include "app/codebase/file_text.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/codebase/decode.h"
#include "app/codebase/secrets.h"

namespace app::codebase {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHeadBytes = 64 << 10;

FileStamp stamp_from(const struct stat& info) {
    return {info.st_size, info.st_mtim.tv_sec * int64_t{1'000'000'000} + info.st_mtim.tv_nsec,
            info.st_ino};
}

class OpenFile {
public:
    OpenFile(const fs::path& root, const std::string& path)
        : fd_(::open((root / path).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)) {
        if (fd_ < 0) {
            problem_ =
                errno == ELOOP ? "link" : std::string("cannot be read: ") + std::strerror(errno);
        } else if (::fstat(fd_, &info_) != 0 || !S_ISREG(info_.st_mode)) {
            problem_ = "not a regular file";
        }
    }
    ~OpenFile() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    const std::string& problem() const { return problem_; }
    const struct stat& info() const { return info_; }

    // Up to `most` bytes; the file may have grown or shrunk since it was opened.
    bool read(std::string& into, size_t most) {
        into.resize(most);
        size_t got = 0;
        while (got < most) {
            const ssize_t n = ::read(fd_, into.data() + got, most - got);
            if (n < 0 && errno == EINTR) {
                continue;
            }
            if (n < 0) {
                problem_ = std::string("cannot be read: ") + std::strerror(errno);
                return false;
            }
            if (n == 0) {
                break;
            }
            got += static_cast<size_t>(n);
        }
        into.resize(got);
        return true;
    }

private:
    int fd_;
    struct stat info_ {};
    std::string problem_;
};

FileText without_text(FileText file, FileKind kind, std::string reason) {
    file.kind = kind;
    file.reason = std::move(reason);
    file.text.clear();
    return file;
}

std::string counted(size_t n, const char* one, const char* many) {
    return std::to_string(n) + (n == 1 ? one : many);
}

}  // namespace

FileStamp stamp_of(const fs::path& root, const std::string& path) {
    struct stat info {};
    return ::lstat((root / path).c_str(), &info) == 0 && S_ISREG(info.st_mode) ? stamp_from(info)
                                                                               : FileStamp{};
}

bool read_plain(const fs::path& root,
                const std::string& path,
                const FileStamp& stamp,
                std::string& text) {
    OpenFile file(root, path);
    return file.problem().empty() && stamp_from(file.info()) == stamp &&
           file.read(text, static_cast<size_t>(stamp.bytes)) &&
           text.size() == static_cast<size_t>(stamp.bytes);
}

FileText read_file_text(const fs::path& root,
                        const std::string& path,
                        SecretPolicy policy,
                        int64_t max_bytes) {
    FileText out;
    const std::string name = path.substr(path.rfind('/') + 1);
    OpenFile file(root, path);
    if (!file.problem().empty()) {
        return without_text(std::move(out), FileKind::unreadable, file.problem());
    }
    out.stamp = stamp_from(file.info());
    if (policy != SecretPolicy::allow && has_secret_name(name)) {
        return without_text(std::move(out), FileKind::secret, "may hold a secret");
    }
    const bool huge = out.stamp.bytes > max_bytes;
    std::string content;
    const size_t most = huge ? kHeadBytes : static_cast<size_t>(out.stamp.bytes) + 1;
    if (!file.read(content, most)) {
        return without_text(std::move(out), FileKind::unreadable, file.problem());
    }
    if (huge) {
        const bool binary = std::memchr(content.data(), 0, content.size()) != nullptr &&
                            !to_text(content.substr(0, content.size() & ~size_t{3})).is_text;
        return without_text(
            std::move(out), binary ? FileKind::binary : FileKind::huge,
            binary ? "binary" : "larger than " + std::to_string(max_bytes >> 20) + " MiB");
    }
    if (content.size() > static_cast<size_t>(out.stamp.bytes)) {  // it grows while it is read
        content.resize(static_cast<size_t>(out.stamp.bytes));
    }
    out.plain = is_plain_text(content);
    std::string how;
    if (out.plain && content.find("\x1B$B") == std::string::npos) {
        out.text = std::move(content);
    } else {
        out.plain = false;
        ReadText read = to_text(content);
        if (!read.is_text) {
            return without_text(std::move(out), FileKind::binary, "binary");
        }
        out.text = std::move(read.text);
        how = read.how.empty() ? "" : "read as " + read.how;
    }
    Classified what = classify(path, out.text);
    out.kind = what.kind;
    out.reason = std::move(what.reason);
    const auto add = [&](const std::string& more) { how += (how.empty() ? "" : ", ") + more; };
    if (policy != SecretPolicy::allow) {
        if (const auto secrets = find_secrets(out.text, path); !secrets.empty()) {
            if (policy == SecretPolicy::leave_out) {
                return without_text(std::move(out), FileKind::secret, "holds a secret");
            }
            out.text = masked(out.text, secrets);
            out.plain = false;
            out.secrets = static_cast<int>(secrets.size());
            add(counted(secrets.size(), " secret masked", " secrets masked"));
        }
    }
    if (const int64_t invisible = count_invisible(out.text); invisible > 0) {
        add(counted(static_cast<size_t>(invisible), " invisible character",
                    " invisible characters"));
    }
    if (out.kind == FileKind::text) {
        out.reason = std::move(how);
    } else if (!how.empty()) {
        out.reason += ", " + how;
    }
    return out;
}

}  // namespace app::codebase
