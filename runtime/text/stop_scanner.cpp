#include "runtime/text/stop_scanner.h"

#include <algorithm>

namespace runtime {

StopScanner::StopScanner(std::vector<std::string> stops) {
    for (std::string& text : stops) {
        if (text.empty()) {
            continue;
        }
        Stop stop{std::move(text), {}, 0};
        stop.fallback.assign(stop.text.size() + 1, 0);
        for (size_t i = 1, border = 0; i < stop.text.size(); i++) {
            while (border > 0 && stop.text[i] != stop.text[border]) {
                border = stop.fallback[border];
            }
            border += stop.text[i] == stop.text[border] ? 1 : 0;
            stop.fallback[i + 1] = border;
        }
        stops_.push_back(std::move(stop));
    }
}

std::string StopScanner::add(std::string_view text) {
    if (found_ != nullptr) {
        return {};
    }
    if (stops_.empty()) {
        return std::string(text);
    }
    std::string out = std::move(held_);
    held_.clear();
    for (const char c : text) {
        out += c;
        for (Stop& stop : stops_) {
            while (stop.matched > 0 && stop.text[stop.matched] != c) {
                stop.matched = stop.fallback[stop.matched];
            }
            stop.matched += stop.text[stop.matched] == c ? 1 : 0;
            const bool whole = stop.matched == stop.text.size();
            if (whole && (found_ == nullptr || stop.text.size() > found_->text.size())) {
                found_ = &stop;
            }
        }
        if (found_ != nullptr) {
            out.resize(out.size() - found_->text.size());
            return out;
        }
    }
    size_t hold = 0;
    for (const Stop& stop : stops_) {
        hold = std::max(hold, stop.matched);
    }
    held_ = out.substr(out.size() - hold);
    out.resize(out.size() - hold);
    return out;
}

std::string StopScanner::flush() {
    for (Stop& stop : stops_) {
        stop.matched = 0;
    }
    std::string out;
    out.swap(held_);
    return out;
}

const std::string& StopScanner::stop_string() const {
    static const std::string none;
    return found_ != nullptr ? found_->text : none;
}

}  // namespace runtime
