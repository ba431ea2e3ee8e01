#include "app/codebase/secret_values.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdint>

#include "app/codebase/key_formats.h"

namespace app::codebase {
namespace {

bool is_alnum(char c) {
    return in_alphabet(c, Alphabet::alnum);
}

constexpr uint32_t three(unsigned char a, unsigned char b, unsigned char c) {
    return (a | 32U) << 16 | (b | 32U) << 8 | (c | 32U);
}

// Three letters of every word below; nearly all names of a tree have none of them.
bool says_something(std::string_view name) {
    for (size_t i = 0; i + 2 < name.size(); i++) {
        const auto letter = [&](size_t at) { return static_cast<unsigned char>(name[i + at]); };
        switch (three(letter(0), letter(1), letter(2))) {
            case three('p', 'a', 's'):
            case three('p', 'w', 'd'):
            case three('s', 'e', 'c'):
            case three('t', 'o', 'k'):
            case three('k', 'e', 'y'):
            case three('c', 'r', 'e'):
            case three('a', 'u', 't'):
            case three('p', 's', 'k'):
            case three('j', 'w', 't'):
            case three('s', 'a', 'l'):
            case three('p', 'h', 'r'):
                return true;
            default:
                break;
        }
    }
    return false;
}

}  // namespace

double entropy(std::string_view text) {
    std::array<int, 256> counts{};
    for (const char c : text) {
        counts[static_cast<unsigned char>(c)]++;
    }
    double bits = 0;
    for (const int count : counts) {
        if (count > 0) {
            const double p = static_cast<double>(count) / static_cast<double>(text.size());
            bits -= p * std::log2(p);
        }
    }
    return bits;
}

bool has_digit(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

// Words that stand where a secret would: documentation, templates, tests that say so.
bool is_placeholder(std::string_view value) {
    const std::string low = lower(value);
    static constexpr std::array<std::string_view, 24> kParts = {
        "your",    "example", "placeholder", "changeme", "change_me", "change-me",
        "xxxx",    "****",    "....",        "<",        "${",        "{{",
        "%(",      "$(",      "dummy",       "insert",   "replace",   "redacted",
        "secret:", "fixme",   "fake",        "sample",   "0000000",   "1234567890abcdef"};
    return std::any_of(kParts.begin(), kParts.end(),
                       [&](std::string_view part) { return low.find(part) != std::string::npos; });
}

int classes_of(std::string_view value) {
    bool small = false, big = false, digit = false, other = false;
    for (const char c : value) {
        small = small || (c >= 'a' && c <= 'z');
        big = big || (c >= 'A' && c <= 'Z');
        digit = digit || (c >= '0' && c <= '9');
        other = other || !is_alnum(c);
    }
    return static_cast<int>(small) + static_cast<int>(big) + static_cast<int>(digit) +
           static_cast<int>(other);
}

// Identifiers, paths, versions and words of a language are not secrets: those have digits amid
// letters or signs that no name has.
int changes_in(std::string_view value) {
    int changes = 0;
    for (size_t i = 1; i < value.size(); i++) {
        const auto kind = [](char c) { return c >= '0' && c <= '9' ? 1 : is_alnum(c) ? 2 : 3; };
        changes += static_cast<int>(kind(value[i]) != kind(value[i - 1]));
    }
    return changes;
}

int weight_of(std::string_view name) {
    if (!says_something(name)) {
        return 0;
    }
    const std::string low = lower(name);
    static constexpr std::array<std::string_view, 12> kNot = {
        "tokenizer", "public",     "token_type", "tokentype", "keyword",      "passwordfield",
        "tokens",    "csrf_param", "tokenize",   "secretary", "passwordhint", "pass_through"};
    for (const std::string_view no : kNot) {
        if (low.find(no) != std::string::npos) {
            return 0;
        }
    }
    // What belongs to a secret and is none: where it lies, how long it is.
    static constexpr std::array<std::string_view, 16> kAbout = {
        "file", "path", "url",   "uri",   "name", "field", "length", "type",
        "size", "hint", "label", "class", "ttl",  "count", "policy", "regex"};
    for (const std::string_view end : kAbout) {
        if (low.ends_with(end)) {
            return 0;
        }
    }
    static constexpr std::array<std::string_view, 14> kPasswords = {
        "password", "passwd",       "passphrase", "passcode",  "pwd",
        "_pass",    "dbpass",       "-pass",      "rootpass",  "userpass",
        "bindpass", "presharedkey", "pre_shared", "pre-shared"};
    for (const std::string_view word : kPasswords) {
        if (low.find(word) != std::string::npos) {
            return 2;
        }
    }
    static constexpr std::array<std::string_view, 44> kKeys = {
        "secret",           "token",           "apikey",      "api_key",        "api-key",
        "api.key",          "access_key",      "accesskey",   "access-key",     "access.key",
        "auth_key",         "authkey",         "auth-key",    "private_key",    "privatekey",
        "private-key",      "account_key",     "accountkey",  "encryption_key", "encryptionkey",
        "encryption-key",   "signing_key",     "signingkey",  "signing-key",    "credential",
        "client_key",       "master_key",      "masterkey",   "license_key",    "licensekey",
        "secretkey",        "app_key",         "appkey",      "deploy_key",     "service_key",
        "servicekey",       "webhook_key",     "storage_key", "storagekey",     "subscription-key",
        "subscription_key", "subscriptionkey", "session_key", "hmac_key"};
    for (const std::string_view word : kKeys) {
        if (low.find(word) != std::string::npos) {
            return 1;
        }
    }
    if (low == "pass" || low == "psk" || low == "wpa_psk" || low.ends_with(".pass")) {
        return 2;
    }
    if (low == "auth" || low == "_auth" || low.ends_with("_jwt") || low == "jwt" ||
        low.ends_with("_salt") || low == "salt") {
        return 1;
    }
    return 0;
}

bool is_secret_value(std::string_view value, int weight, bool plain) {
    if (value.size() < 8 || value.size() > 2048 || is_placeholder(value)) {
        return false;
    }
    const char first = value[0];
    // A password may have any sign in any place; so have calls, types and variables, which have
    // words.
    const bool wild = weight == 2 && plain && classes_of(value) == 4 && changes_in(value) >= 4 &&
                      entropy(value) >= 3.2 && value.find("()") == std::string_view::npos;
    // An AWS secret may begin with a slash, and so may base64; a path has words.
    const bool base64 = value.size() == 40 || (value.size() % 4 == 0 && value.ends_with('='));
    const bool path = first == '/' && !(base64 && classes_of(value) == 4 && entropy(value) > 4.3);
    constexpr std::string_view kOfCode = "%@.&*(#-";
    if (first == '$' || first == '{' || path || (first == '%' && value.ends_with('%')) ||
        (kOfCode.find(first) != std::string_view::npos && !wild) ||
        value.find("://") != std::string_view::npos ||
        value.find("\\x") != std::string_view::npos ||  // bytes spelled out: a test's
        value.find_first_of(" \t\n") != std::string_view::npos ||
        (value.find_first_of("(){}[]<>") != std::string_view::npos && !wild) ||
        value.find("::") != std::string_view::npos || value.find("->") != std::string_view::npos) {
        return false;
    }
    const std::string low = lower(value);
    const bool says_what =
        low.find("password") != std::string::npos || low.find("passwd") != std::string::npos ||
        low.find("secret") != std::string::npos || low.find("token") != std::string::npos ||
        low.find("test") != std::string::npos;
    const bool all_digits = std::all_of(value.begin(), value.end(), [](char c) {
        return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':';
    });
    if (all_digits || !has_digit(value) || (says_what && value.size() < 20)) {
        return false;
    }
    const int classes = classes_of(value);
    const double bits = entropy(value);
    if (weight == 2) {
        const bool strong = (classes >= 3 && bits >= 2.75) || (value.size() >= 12 && classes >= 2 &&
                                                               changes_in(value) >= 3 && bits >= 3);
        return strong && (plain || value.size() >= 12);
    }
    const bool hex = std::all_of(value.begin(), value.end(),
                                 [](char c) { return in_alphabet(c, Alphabet::hex) || c == '-'; });
    const bool strong =
        hex ? value.size() >= 24 && bits >= 3.0 && changes_in(value) >= 4
            : value.size() >= 16 && bits >= 3.3 && changes_in(value) >= 3 && classes >= 2;
    return strong && (plain || value.size() >= 20);
}

}  // namespace app::codebase
