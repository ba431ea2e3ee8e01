#include "app/server/fields.h"

#include <cmath>
#include <limits>

#include "app/server/api_error.h"

namespace app {
namespace {

ApiError wrong_type(const std::string& path, const char* wanted, const Json& found) {
    return ApiError::invalid(
        "'" + path + "' must be " + wanted + ", not " + found.type_name() + ".", path);
}

std::string short_number(double value) {
    char text[40];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
}

}  // namespace

Fields::Fields(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
    if (!object_.is_object()) {
        throw ApiError::invalid(
            path_.empty() ? std::string("The body must be a JSON object.")
                          : "'" + path_ + "' must be an object, not " + object_.type_name() + ".",
            path_);
    }
}

const Json* Fields::find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::string> Fields::text(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (!value->is_string()) {
        throw wrong_type(path(name), "a string", *value);
    }
    return value->get<std::string>();
}

std::string Fields::required_text(const char* name) const {
    const auto value = text(name);
    if (!value) {
        throw ApiError::invalid("'" + path(name) + "' is missing.", path(name));
    }
    return *value;
}

std::optional<bool> Fields::flag(const char* name) const {
    const Json* value = find(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (!value->is_boolean()) {
        throw wrong_type(path(name), "true or false", *value);
    }
    return value->get<bool>();
}

std::optional<double> Fields::number(const char* name, double least, double most) const {
    const Json* value = find(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (!value->is_number()) {
        throw wrong_type(path(name), "a number", *value);
    }
    const double number = value->get<double>();
    if (!(number >= least && number <= most)) {
        throw ApiError::invalid("'" + path(name) + "' must be from " + short_number(least) +
                                    " to " + short_number(most) + ".",
                                path(name));
    }
    return number;
}

std::optional<int64_t> Fields::integer(const char* name, int64_t least, int64_t most) const {
    const Json* value = find(name);
    if (value == nullptr) {
        return std::nullopt;
    }
    constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
    int64_t number = 0;
    if (value->is_number_unsigned()) {
        number = static_cast<int64_t>(
            std::min<uint64_t>(value->get<uint64_t>(), static_cast<uint64_t>(kMost)));
    } else if (value->is_number_integer()) {
        number = value->get<int64_t>();
    } else if (value->is_number_float() &&
               std::trunc(value->get<double>()) == value->get<double>()) {
        const double real = value->get<double>();
        number = real >= 9.2e18 ? kMost : real <= -9.2e18 ? -kMost : static_cast<int64_t>(real);
    } else {
        throw wrong_type(path(name), "a whole number", *value);
    }
    if (number < least || number > most) {
        throw ApiError::invalid(
            "'" + path(name) + "' must be at least " + std::to_string(least) +
                (most == kMost ? "." : " and at most " + std::to_string(most) + "."),
            path(name));
    }
    return number;
}

const Json* Fields::object(const char* name) const {
    const Json* value = find(name);
    if (value != nullptr && !value->is_object()) {
        throw wrong_type(path(name), "an object", *value);
    }
    return value;
}

const Json* Fields::array(const char* name, size_t most) const {
    const Json* value = find(name);
    if (value == nullptr) {
        return nullptr;
    }
    if (!value->is_array()) {
        throw wrong_type(path(name), "an array", *value);
    }
    if (value->size() > most) {
        throw ApiError::invalid(
            "'" + path(name) + "' may have at most " + std::to_string(most) + " entries.",
            path(name));
    }
    return value;
}

}  // namespace app
