// FolderWatch: tells when something in a set of folders may have changed. By inotify; where the
// system's watches are used up, by looking every two seconds whether to look. Bursts are told once,
// 300 ms after they end or 2 s after they began. Owns one thread; the callback runs on it.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace app::codebase {

class FolderWatch {
public:
    // Folders relative to the root. `limit`: watches it may use; for tests.
    FolderWatch(std::filesystem::path root,
                std::vector<std::string> folders,
                std::function<void()> on_change,
                size_t limit = 8192);
    ~FolderWatch();
    FolderWatch(const FolderWatch&) = delete;
    FolderWatch& operator=(const FolderWatch&) = delete;

    // True: some folders have no watch, and the callback also comes by the clock.
    bool polls() const { return polls_; }

private:
    void run();

    std::function<void()> on_change_;
    int notify_ = -1, stop_ = -1;
    bool polls_ = false;
    std::thread thread_;
};

}  // namespace app::codebase
