// ApiError: an answer that is an error, in OpenAI's shape: {"error": {"message", "type", "param",
// "code"}}, always all four keys. Thrown by handlers, written by the server's exception handler.
#pragma once

#include <stdexcept>
#include <string>

#include "app/json/json.h"
#include "runtime/error.h"

namespace app {

class ApiError : public std::runtime_error {
public:
    // type and its usual HTTP status follow from each other, so there is one constructor function
    // per kind.
    static ApiError invalid(const std::string& message,
                            const std::string& param = "",
                            const std::string& code = "");
    static ApiError unauthorized(const std::string& message);
    static ApiError forbidden(const std::string& message);
    static ApiError not_found(const std::string& message, const std::string& code = "");
    static ApiError busy(const std::string& message);         // 429, Retry-After
    static ApiError unavailable(const std::string& message);  // 503, Retry-After
    static ApiError internal();  // 500; what happened is in the log only
    static ApiError failed(
        const std::string& message);        // 500; the engine could not finish, and says why
    // What another engine answered, or 502 and 504 where it did not. An empty type: the status'
    // usual one.
    static ApiError remote(int status,
                           const std::string& type,
                           const std::string& message,
                           const std::string& param,
                           const std::string& code,
                           const std::string& retry_after);
    static ApiError of_status(int status);  // what cpp-httplib found by itself: 400, 413, 414, ...
    static ApiError from(const runtime::RequestError& error);

    // The same error in other words.
    ApiError with(const std::string& message, const std::string& param) const;

    Json body() const;
    // {"type": "error", "error": {"type", "message"}}
    Json anthropic_body() const;

    int status = 500;
    std::string type;
    std::string param;  // empty: null
    std::string code;   // empty: null
    std::string retry_after = "1";  // seconds; sent with 429 and 503

private:
    ApiError(int status,
             std::string type,
             const std::string& message,
             std::string param,
             std::string code);
};

}  // namespace app
