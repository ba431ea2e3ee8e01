#include "app/server/api_error.h"

namespace app {

ApiError::ApiError(int http_status,
                   std::string error_type,
                   const std::string& message,
                   std::string field,
                   std::string error_code)
    : std::runtime_error(message),
      status(http_status),
      type(std::move(error_type)),
      param(std::move(field)),
      code(std::move(error_code)) {}

ApiError ApiError::invalid(const std::string& message,
                           const std::string& param,
                           const std::string& code) {
    return {400, "invalid_request_error", message, param, code};
}

ApiError ApiError::unauthorized(const std::string& message) {
    return {401, "authentication_error", message, "", "invalid_api_key"};
}

ApiError ApiError::forbidden(const std::string& message) {
    return {403, "permission_error", message, "", ""};
}

ApiError ApiError::not_found(const std::string& message, const std::string& code) {
    return {404, "not_found_error", message, "", code};
}

ApiError ApiError::busy(const std::string& message) {
    return {429, "rate_limit_error", message, "", "queue_full"};
}

ApiError ApiError::unavailable(const std::string& message) {
    return {503, "unavailable_error", message, "", "unavailable"};
}

ApiError ApiError::internal() {
    return {500, "server_error", "The server failed to answer; its log says why.", "", ""};
}

ApiError ApiError::failed(const std::string& message) {
    return {500, "server_error", message, "", "generation_failed"};
}

ApiError ApiError::remote(int status,
                          const std::string& type,
                          const std::string& message,
                          const std::string& param,
                          const std::string& code,
                          const std::string& retry_after) {
    const char* usual = status == 404                    ? "not_found_error"
                        : status == 429                  ? "rate_limit_error"
                        : status == 503                  ? "unavailable_error"
                        : status >= 400 && status < 500 ? "invalid_request_error"
                                                         : "server_error";
    ApiError error{status, type.empty() ? usual : type, message, param, code};
    if (!retry_after.empty()) {
        error.retry_after = retry_after;
    }
    return error;
}

ApiError ApiError::of_status(int status) {
    switch (status) {
        case 404:
            return not_found("There is nothing at this path.");
        case 405:
            return {405, "invalid_request_error", "This path does not answer this method.", "", ""};
        case 408:
            return {408, "invalid_request_error", "The request did not arrive in time.", "", ""};
        case 413:
            return {413, "invalid_request_error", "The request body is too large.", "", ""};
        case 414:
            return {414, "invalid_request_error", "The request line is too long.", "", ""};
        case 415:
            return {415, "invalid_request_error",
                    "The body must be JSON, not compressed and not multipart.", "", ""};
        case 416:
            return {416, "invalid_request_error", "The Range header cannot be honoured.", "", ""};
        case 431:
            return {431, "invalid_request_error", "The request's header fields are too large.", "",
                    ""};
        default:
            break;
    }
    if (status >= 400 && status < 500) {
        return {status, "invalid_request_error", "The request could not be read.", "", ""};
    }
    ApiError error = internal();
    error.status = status;
    return error;
}

ApiError ApiError::from(const runtime::RequestError& error) {
    switch (error.kind) {
        case runtime::RequestError::Kind::queue_full:
            return busy(error.what());
        case runtime::RequestError::Kind::unavailable:
            return unavailable(error.what());
        case runtime::RequestError::Kind::too_long:
            return invalid(error.what(), error.param.empty() ? "messages" : error.param,
                           "context_length_exceeded");
        case runtime::RequestError::Kind::invalid:
            break;
    }
    return invalid(error.what(), error.param, error.code);
}

ApiError ApiError::with(const std::string& message, const std::string& field) const {
    return {status, type, message, field, code};
}

Json ApiError::body() const {
    const auto text_or_null = [](const std::string& text) {
        return text.empty() ? Json(nullptr) : Json(text);
    };
    Json error;
    error["message"] = what();
    error["type"] = type;
    error["param"] = text_or_null(param);
    error["code"] = text_or_null(code);
    Json body;
    body["error"] = std::move(error);
    return body;
}

Json ApiError::anthropic_body() const {
    Json body;
    body["type"] = "error";
    body["error"]["type"] = status == 413                  ? "request_too_large"
                            : type == "server_error"       ? "api_error"
                            : type == "unavailable_error"  ? "overloaded_error"
                                                           : type;
    body["error"]["message"] = what();
    return body;
}

}  // namespace app
