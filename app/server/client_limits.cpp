#include "app/server/client_limits.h"

#include "app/server/api_error.h"

namespace app {

ClientTicket& ClientTicket::operator=(ClientTicket&& other) noexcept {
    std::swap(limits_, other.limits_);
    std::swap(client_, other.client_);
    return *this;
}

ClientTicket::~ClientTicket() {
    if (limits_ != nullptr) {
        limits_->leave(client_);
    }
}

ClientTicket ClientLimits::enter(const std::string& client) {
    const std::lock_guard lock(mutex_);
    int& count = under_way_[client];
    if (most_ > 0 && count >= most_) {
        throw ApiError::busy("This client has " + std::to_string(count) +
                             " requests under way, as many as it may: try again later.");
    }
    count++;
    return {this, client};
}

void ClientLimits::leave(const std::string& client) {
    const std::lock_guard lock(mutex_);
    const auto at = under_way_.find(client);
    if (at != under_way_.end() && --at->second == 0) {
        under_way_.erase(at);
    }
}

}  // namespace app
