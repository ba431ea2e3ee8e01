// Values and names as clues: whether a value looks made by chance, and what a name says of the
// value that it is given. Pure, any thread.
#pragma once

#include <string>
#include <string_view>

namespace app::codebase {

double entropy(std::string_view text);  // bits a character
bool has_digit(std::string_view text);
std::string lower(std::string_view text);
// Words that stand where a secret would: documentation, templates, tests that say so.
bool is_placeholder(std::string_view value);
// Of small letters, capitals, digits, anything else: how many occur.
int classes_of(std::string_view value);
// How often a value goes from digits to letters to signs: names and words hardly do.
int changes_in(std::string_view value);

// How much a name says: 2 a password, 1 a key or token, 0 nothing.
int weight_of(std::string_view name);

// Whether a value under a name of such weight is a secret. `plain`: it is surely a value, not code;
// where that is not certain, more is asked of it.
bool is_secret_value(std::string_view value, int weight, bool plain);

}  // namespace app::codebase
