#include "app/json/python_json.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace app {
namespace {

void write_string(const std::string& text, std::string& out) {
    out += '"';
    for (const char c : text) {
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            case '\b':
                out += "\\b";
                break;
            case '\f':
                out += "\\f";
                break;
            default:
                if (static_cast<unsigned char>(c) < 0x20) {
                    char escape[8];
                    std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned char>(c));
                    out += escape;
                } else {
                    out += c;
                }
        }
    }
    out += '"';
}

// repr(float): the shortest digits that read back as the same number; plain notation for exponents
// from -4 to 15.
void write_float(double value, std::string& out) {
    if (std::isnan(value)) {
        out += "NaN";
        return;
    }
    if (std::isinf(value)) {
        out += value < 0 ? "-Infinity" : "Infinity";
        return;
    }
    char text[40];
    const char* end =
        std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
    std::string digits;
    const char* at = text;
    if (*at == '-') {
        out += '-';
        at++;
    }
    for (; at != end && *at != 'e'; at++) {
        if (*at != '.') {
            digits += *at;
        }
    }
    const int exponent = at != end ? std::atoi(std::string(at + 1, end).c_str()) : 0;
    if (exponent < -4 || exponent >= 16) {
        out += digits.substr(0, 1);
        if (digits.size() > 1) {
            out += "." + digits.substr(1);
        }
        char suffix[16];
        std::snprintf(suffix, sizeof suffix, "e%c%02d", exponent < 0 ? '-' : '+',
                      std::abs(exponent));
        out += suffix;
    } else if (exponent < 0) {
        out += "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
    } else {
        const auto whole = static_cast<size_t>(exponent) + 1;
        if (digits.size() <= whole) {
            out += digits + std::string(whole - digits.size(), '0') + ".0";
        } else {
            out += digits.substr(0, whole) + "." + digits.substr(whole);
        }
    }
}

// Recursion is bounded by kMaxJsonDepth: everything comes out of parse_json.
void write(const Json& value, std::string& out) {
    switch (value.type()) {
        case Json::value_t::null:
            out += "null";
            break;
        case Json::value_t::boolean:
            out += value.get<bool>() ? "true" : "false";
            break;
        case Json::value_t::number_integer:
            out += std::to_string(value.get<int64_t>());
            break;
        case Json::value_t::number_unsigned:
            out += std::to_string(value.get<uint64_t>());
            break;
        case Json::value_t::number_float:
            write_float(value.get<double>(), out);
            break;
        case Json::value_t::string:
            write_string(value.get_ref<const std::string&>(), out);
            break;
        case Json::value_t::array: {
            out += '[';
            bool first = true;
            for (const Json& item : value) {
                out += first ? "" : ", ";
                first = false;
                write(item, out);
            }
            out += ']';
            break;
        }
        case Json::value_t::object: {
            out += '{';
            bool first = true;
            for (const auto& item : value.items()) {
                out += first ? "" : ", ";
                first = false;
                write_string(item.key(), out);
                out += ": ";
                write(item.value(), out);
            }
            out += '}';
            break;
        }
        case Json::value_t::binary:
        case Json::value_t::discarded:
            out += "null";
            break;
    }
}

}  // namespace

std::string python_json(const Json& value) {
    std::string out;
    write(value, out);
    return out;
}

}  // namespace app
