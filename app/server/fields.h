// Fields: reading a request body field by field. null is as good as absent; a wrong type or range
// is a 400 that names the field; what is not asked for is ignored.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "app/json/json.h"

namespace app {

inline constexpr int64_t kAnyInteger = std::numeric_limits<int64_t>::max();

// "path[i]", as messages call an entry.
inline std::string element(const std::string& path, size_t i) {
    return path + "[" + std::to_string(i) + "]";
}

class Fields {
public:
    // `object` must outlive this; `path` is how messages call it: "" or "messages[0]".
    explicit Fields(const Json& object, std::string path = "");

    // Null: absent or null.
    const Json* find(const char* name) const;
    std::string path(const std::string& name) const {
        return path_.empty() ? name : path_ + "." + name;
    }

    std::optional<std::string> text(const char* name) const;
    std::string required_text(const char* name) const;  // absent: 400
    std::optional<bool> flag(const char* name) const;
    std::optional<double> number(const char* name, double least, double most) const;
    // Whole numbers; 3.0 counts as 3, numbers past 64 bits are clamped before the range is checked.
    std::optional<int64_t> integer(const char* name, int64_t least, int64_t most) const;
    const Json* object(const char* name) const;
    const Json* array(const char* name, size_t most) const;

private:
    const Json& object_;
    std::string path_;
};

}  // namespace app
