// What may leave runtime/ by exception, besides kernels::DeviceError. The text is for a person: which file, which
// tensor or field, expected and found, what would work. One line.
#pragma once

#include <stdexcept>
#include <string>

namespace runtime {

// A model file that cannot be used.
class ModelError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// A request that cannot be honoured as it stands. `code` is OpenAI's (may be empty), `param` the field at fault (may be empty).
class RequestError : public std::runtime_error {
public:
    enum class Kind { invalid, too_long, queue_full, unavailable };

    RequestError(Kind what_kind, const std::string& message, std::string field = "", std::string api_code = "")
        : std::runtime_error(message),
          kind(what_kind),
          param(std::move(field)),
          code(std::move(api_code)) {}

    Kind kind;
    std::string param;
    std::string code;
};

}  // namespace runtime
