// SharedText: a text that never changes. Its copies are one text, so that what is attached to a
// question - megabytes, of a folder - is handed from the composer to drafts, prompts and the store
// without being copied. Any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace app {

class SharedText {
public:
    SharedText() = default;
    SharedText(std::string text)
        : text_(text.empty() ? nullptr : std::make_shared<const std::string>(std::move(text))) {}
    SharedText(const char* text) : SharedText(std::string(text)) {}

    const std::string& str() const {
        static const std::string none;
        return text_ ? *text_ : none;
    }
    operator std::string_view() const { return str(); }
    size_t size() const { return str().size(); }
    bool empty() const { return text_ == nullptr; }

    friend bool operator==(const SharedText& a, const SharedText& b) {
        return a.text_ == b.text_ || a.str() == b.str();
    }

private:
    std::shared_ptr<const std::string> text_;  // null: empty
};

}  // namespace app
