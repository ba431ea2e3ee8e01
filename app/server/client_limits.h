// ClientLimits: how many requests of one client are under way, so that one key cannot take the
// whole queue. Any thread.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace app {

class ClientLimits;

// One request of a client, from its arrival to its end.
class ClientTicket {
public:
    ClientTicket() = default;
    ClientTicket(ClientTicket&& other) noexcept { *this = std::move(other); }
    ClientTicket& operator=(ClientTicket&& other) noexcept;
    ~ClientTicket();

    const std::string& client() const { return client_; }

private:
    friend class ClientLimits;
    ClientTicket(ClientLimits* limits, std::string client)
        : limits_(limits), client_(std::move(client)) {}

    ClientLimits* limits_ = nullptr;  // null: given back
    std::string client_;
};

class ClientLimits {
public:
    // 0: no limit but that of the queue.
    explicit ClientLimits(int most) : most_(most) {}

    // Throws ApiError 429 where `client` has as many as it may. The ticket must not outlive this.
    ClientTicket enter(const std::string& client);

private:
    friend class ClientTicket;
    void leave(const std::string& client);

    const int most_;
    std::mutex mutex_;
    std::map<std::string, int, std::less<>> under_way_;  // guarded by mutex_; none with 0
};

}  // namespace app
