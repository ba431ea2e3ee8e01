// SingleInstance: one window per person, display and set of files. The first start listens on a
// socket in the data folder; a later one hands over what it was told to open and ends. A thread of
// its own waits for these; what came is taken on the main thread.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace app::window {

class SingleInstance {
public:
    // What another start was told to open.
    struct Request {
        std::string model;
        std::vector<std::string> paths;  // absolute
    };

    // Tries to be the first. `wake` is called, from any thread, when a request has come.
    SingleInstance(const std::filesystem::path& folder,
                   const std::string& display,
                   std::function<void()> wake);
    ~SingleInstance();
    SingleInstance(const SingleInstance&) = delete;
    SingleInstance& operator=(const SingleInstance&) = delete;

    // Gives the request to the one that is there; false: there is none, or it does not answer.
    static bool hand_over(const std::filesystem::path& folder,
                          const std::string& display,
                          const Request& request);

    bool listens() const { return listener_ >= 0; }
    std::vector<Request> take();

private:
    void serve();

    std::function<void()> wake_;
    std::filesystem::path socket_;
    int lock_ = -1, listener_ = -1, stop_ = -1;
    std::mutex mutex_;
    std::vector<Request> requests_;  // guarded by mutex_
    std::thread thread_;
};

}  // namespace app::window
