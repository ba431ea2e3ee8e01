#include "app/server/schema_converter.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <tuple>
#include <vector>

#include "app/server/number_grammar.h"
#include "app/server/tool_schema.h"
#include "app/server/word_tree.h"

namespace app {
namespace {

using runtime::GrammarBuilder;

// What a bare argument must not hold, whole tags included.
constexpr const char* kMarkerText = "arg_value>";

bool parses(const std::string& text) {
    try {
        parse_json(text);
        return true;
    } catch (const JsonError&) {
        return false;
    }
}

bool impossible(const std::pair<int32_t, int32_t>& counts) {
    return counts.second >= 0 && counts.second < counts.first;
}

}  // namespace

SchemaConverter::Expr SchemaConverter::any_object() {
    return text_.object_of_pairs(
        text_.pair(text_.string_of(0, JsonText::kMostKeyLength), any_value()), 0, -1);
}

SchemaConverter::Expr SchemaConverter::bare_string(const Json& given, const std::string& path) {
    const Json schema = read_.flattened(given, path);
    if (const auto ways = read_.choices(schema, path)) {
        std::vector<Expr> each;
        for (const Json& way : *ways) {
            each.push_back(bare_string(way, path));
        }
        return b_.choice(std::move(each));
    }
    read_.refuse_unknown(schema, path);
    if (const auto values = read_.constants(schema, path)) {
        std::vector<std::string> words;
        for (const Json& one : *values) {
            if (one.is_string() &&
                one.get_ref<const std::string&>().find(kMarkerText) == std::string::npos) {
                words.push_back(one.get<std::string>());
            }
        }
        return one_of_words(b_, std::move(words));
    }
    const auto character = [this](const CodePoints& ranges) {
        return b_.code_points(without(ranges, '<', '<'));
    };
    const auto [least, most] = read_.counts(schema, path, "minLength", "maxLength");
    if (const Json* pattern = read_.pattern_of(schema, path)) {
        return patterned(pattern->get<std::string>(), path + ".pattern", character, {least, most});
    }
    if (const std::string* format = read_.format_of(schema)) {
        return patterned(*format, path + ".format", character, {least, most});
    }
    if (least == 0 && most < 0) {
        return free_text();
    }
    return b_.repeat(character({{0, 0x10FFFF}}), least, most);
}

SchemaConverter::Expr SchemaConverter::free_text() {
    return text_.shared("argument", [this] { return b_.text_without({std::string(kMarkerText)}); });
}

// Of a schema that allows strings and other types, whatever their order. Nothing: it is for
// convert().
std::optional<SchemaConverter::Expr> SchemaConverter::bare_or_json(const Json& schema,
                                                                   const std::string& path) {
    if (schema.is_boolean() ? schema.get<bool>() : read_.only_annotations_beside(schema, "")) {
        return free_text();  // what is no JSON is a string
    }
    std::vector<Json> ways;
    if (const auto given = read_.choices(schema, path)) {
        for (const Json& way : *given) {
            ways.push_back(read_.flattened(way, path));
        }
    } else if (const Json* type = schema_member(schema, "type");
               type != nullptr && type->is_array()) {
        for (const std::string& one : read_.types(schema, path)) {
            ways.push_back(schema);
            ways.back()["type"] = one;
        }
    } else {
        ways = {schema};
    }
    std::vector<Expr> each;
    bool bare = false, any_text = false,
         fixed = false;  // `fixed`: of a type whose other values are not allowed
    for (const Json& way : ways) {
        if (!way.is_object() || schema_member(way, "anyOf") != nullptr ||
            schema_member(way, "oneOf") != nullptr) {
            return std::nullopt;
        }
        if (const auto values = read_.constants(way, path)) {
            std::vector<std::string> words;
            for (const Json& value : *values) {
                if (!value.is_string()) {
                    fixed = fixed || !value.is_null();
                    words.push_back(text_.constant_text(value));
                    continue;
                }
                const std::string& word = value.get_ref<const std::string&>();
                if (parses(word) || word.find(kMarkerText) != std::string::npos) {
                    return std::nullopt;
                }
                bare = true;
                words.push_back(word);
            }
            each.push_back(one_of_words(b_, std::move(words)));
            continue;
        }
        const Json* type = schema_member(way, "type");
        const bool simple =
            type != nullptr && type->is_string() && read_.only_annotations_beside(way, "type");
        if (simple && *type == Json("string")) {
            bare = any_text = true;
            each.push_back(free_text());
        } else if (simple && *type != Json("object") && *type != Json("array")) {
            each.push_back(convert(way, path, 1));
        } else {
            return std::nullopt;
        }
    }
    return bare && !(any_text && fixed) ? std::optional(b_.choice(std::move(each))) : std::nullopt;
}

SchemaConverter::Expr SchemaConverter::argument(const Json& given, const std::string& path) {
    if (types_of(given, read_.root()).only_string()) {
        const Expr text = bare_string(given, path);
        const Expr rule = b_.declare(path);
        b_.define(rule, text);
        return rule;
    }
    const Json schema = read_.flattened(given, path);
    if (schema.is_object()) {
        read_.refuse_unknown(schema, path);
    }
    if (const auto text = bare_or_json(schema, path)) {
        const Expr rule = b_.declare(path);
        b_.define(rule, *text);
        return rule;
    }
    return convert(given, path, 0);
}

SchemaConverter::Expr SchemaConverter::convert(const Json& schema,
                                               const std::string& path,
                                               int depth) {
    const Expr rule = b_.declare(path);
    b_.define(rule, converted(schema, path, depth));
    return rule;
}

SchemaConverter::Expr SchemaConverter::converted(const Json& schema,
                                                 const std::string& path,
                                                 int depth) {
    if (depth > SchemaReader::kMaxDepth) {
        read_.refuse(path, "schemas are nested too deeply");
    }
    if (schema.is_boolean()) {
        return schema.get<bool>() ? any_value() : b_.nothing();
    }
    if (!schema.is_object()) {
        read_.refuse(path, "a schema must be an object or a boolean");
    }
    // A reference alone becomes a rule, so that recursion comes to an end.
    if (const Json* reference = schema_member(schema, "$ref");
        reference != nullptr && read_.only_annotations_beside(schema, "$ref")) {
        const Json* target = &read_.resolve(*reference, path);
        if (const auto known = rules_.find(target); known != rules_.end()) {
            return known->second;
        }
        const Expr rule = b_.declare(reference->get<std::string>());
        rules_.emplace(target, rule);
        b_.define(rule, convert(*target, reference->get<std::string>(), depth + 1));
        return rule;
    }
    const Json flat = read_.flattened(schema, path);
    if (flat.is_boolean()) {
        return flat.get<bool>() ? any_value() : b_.nothing();
    }
    if (const auto ways = read_.choices(flat, path)) {
        std::vector<Expr> each;
        for (const Json& way : *ways) {
            each.push_back(convert(way, path, depth + 1));
        }
        return b_.choice(std::move(each));
    }
    read_.refuse_unknown(flat, path);
    if (const auto values = read_.constants(flat, path)) {
        std::vector<std::string> words;
        for (const Json& one : *values) {
            words.push_back(text_.constant_text(one));
        }
        return one_of_words(b_, std::move(words));
    }
    std::vector<Expr> each;
    for (const std::string& type : read_.types(flat, path)) {
        each.push_back(of_type(type, flat, path, depth));
    }
    return each.empty() ? any_value() : b_.choice(std::move(each));
}

SchemaConverter::Expr SchemaConverter::of_type(const std::string& type,
                                               const Json& schema,
                                               const std::string& path,
                                               int depth) {
    if (type == "object") {
        return object(schema, path, depth);
    }
    if (type == "array") {
        return array(schema, path, depth);
    }
    if (type == "string") {
        return string(schema, path);
    }
    if (type == "number" || type == "integer") {
        return number(schema, path, type == "integer");
    }
    return type == "boolean" ? b_.choice({b_.literal("true"), b_.literal("false")})
                             : b_.literal("null");
}

SchemaConverter::Expr SchemaConverter::number(const Json& schema,
                                              const std::string& path,
                                              bool whole) {
    const auto least = read_.bound(schema, path, "minimum", "exclusiveMinimum", true);
    const auto most = read_.bound(schema, path, "maximum", "exclusiveMaximum", false);
    if (const Json* factor = schema_member(schema, "multipleOf")) {
        const auto plain = factor->is_number() ? plain_decimal(to_text(*factor)) : std::nullopt;
        if (!plain || factor->get<double>() <= 0) {
            read_.refuse(path + ".multipleOf", "must be a number above 0");
        }
        const auto multiples = multiples_between(b_, *plain, least, most, whole);
        if (!multiples) {
            read_.refuse(
                path + ".multipleOf",
                "whole numbers up to 1000 are supported, fractions of up to 4 digits whose "
                "multiples divide without a rest in floating point too (0.5, 0.25, not 0.01: "
                "19.99 / 0.01 is no whole number there), and bounds of up to 15 digits "
                "beside them; leave it out, or count in the smaller unit");
        }
        return *multiples;
    }
    const int32_t fraction = whole ? 0 : kFractionDigits;
    if (!least && !most && fraction > 0) {
        return text_.shared("number", [&] {
            const Expr digit = b_.code_points({{'0', '9'}});
            const Expr whole_part = b_.choice(
                {b_.literal("0"), b_.sequence({b_.code_points({{'1', '9'}}),
                                               b_.repeat(digit, 0, kIntegerDigits - 1)})});
            const Expr part =
                b_.optional(b_.sequence({b_.literal("."), b_.repeat(digit, 1, kFractionDigits)}));
            const Expr exponent = b_.optional(b_.sequence(
                {b_.code_points({{'e', 'e'}, {'E', 'E'}}),
                 b_.optional(b_.code_points({{'+', '+'}, {'-', '-'}})), b_.repeat(digit, 1, 2)}));
            return b_.sequence({b_.optional(b_.literal("-")), whole_part, part, exponent});
        });
    }
    return number_between(b_, least, most, fraction);
}

SchemaConverter::Expr SchemaConverter::patterned(const std::string& pattern,
                                                 const std::string& place,
                                                 const runtime::WriteCharacter& character,
                                                 std::pair<int32_t, int32_t> lengths) {
    try {
        return runtime::pattern_expression(b_, pattern, character, lengths.first, lengths.second);
    } catch (const runtime::GrammarError& error) {
        read_.refuse(place, error.what());
    }
}

SchemaConverter::Expr SchemaConverter::string(const Json& schema, const std::string& path) {
    const auto write = [this](const CodePoints& ranges) { return text_.character(ranges); };
    const auto lengths = read_.counts(schema, path, "minLength", "maxLength");
    if (impossible(lengths)) {
        return b_.nothing();
    }
    if (const Json* pattern = read_.pattern_of(schema, path)) {
        return text_.quoted(
            patterned(pattern->get<std::string>(), path + ".pattern", write, lengths));
    }
    if (const std::string* format = read_.format_of(schema)) {
        return text_.quoted(patterned(*format, path + ".format", write, lengths));
    }
    return text_.string_of(lengths.first, lengths.second);
}

SchemaConverter::Expr SchemaConverter::array(const Json& schema,
                                             const std::string& path,
                                             int depth) {
    const auto limits = read_.counts(schema, path, "minItems", "maxItems");
    if (impossible(limits)) {
        return b_.nothing();
    }
    const auto [least, most] = limits;
    if (const Json* unique = schema_member(schema, "uniqueItems");
        unique != nullptr && *unique == Json(true) && (most < 0 || most > 1)) {
        read_.refuse(path + ".uniqueItems", "that no two items are equal cannot be enforced");
    }
    const Json* items = schema_member(schema, "items");
    const Json* first = schema_member(schema, "prefixItems");
    const Json* rest = first != nullptr ? items : nullptr;
    if (first == nullptr && items != nullptr && items->is_array()) {  // draft 7
        first = items;
        rest = schema_member(schema, "additionalItems");
    }
    if (first != nullptr) {
        if (!first->is_array()) {
            read_.refuse(path + ".prefixItems", "must be a list of schemas");
        }
        return tuple(*first, rest, limits, path, depth);
    }
    if (most == 0) {
        return b_.literal("[]");
    }
    const Expr item = items != nullptr ? convert(*items, path + ".items", depth + 1) : any_value();
    const Expr some = b_.sequence({b_.literal("["), item,
                                   b_.repeat(b_.sequence({text_.comma(), item}),
                                             std::max(0, least - 1), most < 0 ? -1 : most - 1),
                                   b_.literal("]")});
    return least == 0 ? b_.choice({b_.literal("[]"), some}) : some;
}

// The first items each by its own schema, then the rest.
SchemaConverter::Expr SchemaConverter::tuple(const Json& first,
                                             const Json* rest,
                                             std::pair<int32_t, int32_t> limits,
                                             const std::string& path,
                                             int depth) {
    const auto n = static_cast<int32_t>(first.size());
    const auto [least, most] = limits;
    std::vector<Expr> from(static_cast<size_t>(n) + 1);  // what follows the first i items
    const bool more = rest == nullptr || *rest != Json(false);
    {
        Expr tail = b_.empty();
        if (more && (most < 0 || most > n)) {
            const Expr item =
                rest == nullptr ? any_value() : convert(*rest, path + ".items", depth + 1);
            const auto needed = std::max(0, least - n), allowed = most < 0 ? -1 : most - n;
            const Expr later = b_.repeat(b_.sequence({text_.comma(), item}),
                                         n > 0 ? needed : std::max(0, needed - 1),
                                         allowed < 0 ? -1
                                         : n > 0     ? allowed
                                                     : allowed - 1);
            tail = n > 0 ? later : b_.sequence({item, later});
            if (n == 0 && needed == 0) {
                tail = b_.optional(tail);
            }
        } else if (least > n) {
            tail = b_.nothing();
        }
        from[static_cast<size_t>(n)] = tail;
    }
    for (int32_t i = n - 1; i >= 0; i--) {
        const auto at = static_cast<size_t>(i);
        const Expr item =
            convert(first[at], path + ".prefixItems[" + std::to_string(i) + "]", depth + 1);
        Expr here = most >= 0 && i >= most
                        ? b_.nothing()
                        : b_.sequence({i > 0 ? text_.comma() : b_.empty(), item, from[at + 1]});
        if (i >= least) {
            here = b_.choice({b_.empty(), here});
        }
        const Expr rule = b_.declare(path + " items");
        b_.define(rule, here);
        from[at] = rule;
    }
    return b_.sequence({b_.literal("["), from[0], b_.literal("]")});
}

SchemaConverter::Expr SchemaConverter::object(const Json& schema,
                                              const std::string& path,
                                              int depth) {
    const Json* properties = schema_member(schema, "properties");
    if (properties != nullptr && !properties->is_object()) {
        read_.refuse(path + ".properties", "must be an object");
    }
    std::vector<std::tuple<std::string, const Json*, bool>> all;  // name, schema, required
    if (properties != nullptr) {
        for (const auto& [name, one] : properties->items()) {
            all.emplace_back(name, &one, false);
        }
    }
    static const Json kAny = true;
    const Json* extra = schema_member(schema, "additionalProperties");
    if (const Json* unevaluated = schema_member(schema, "unevaluatedProperties");
        extra == nullptr && unevaluated != nullptr) {
        extra = unevaluated;
    }
    const bool closed = extra != nullptr && *extra == Json(false);
    if (const Json* required = schema_member(schema, "required")) {
        if (!required->is_array()) {
            read_.refuse(path + ".required", "must be a list of names");
        }
        for (const Json& name : *required) {
            if (!name.is_string()) {
                read_.refuse(path + ".required", "must be a list of names");
            }
            const auto found = std::find_if(all.begin(), all.end(), [&](const auto& p) {
                return std::get<0>(p) == name.get<std::string>();
            });
            if (found != all.end()) {
                std::get<2>(*found) = true;
            } else if (closed) {
                return b_.nothing();
            } else {
                all.emplace_back(name.get<std::string>(), extra != nullptr ? extra : &kAny, true);
            }
        }
    }
    const auto limits = read_.counts(schema, path, "minProperties", "maxProperties");
    const bool open = all.empty() ? !closed : extra != nullptr && !closed;
    if (all.empty() && open) {
        if (limits.first > 1) {
            read_.refuse(path + ".minProperties",
                         "that keys differ cannot be enforced; at most 1 is supported without "
                         "declared properties");
        }
        if (impossible(limits)) {
            return b_.nothing();
        }
        const Expr value = extra != nullptr
                               ? convert(*extra, path + ".additionalProperties", depth + 1)
                               : any_value();
        return text_.object_of_pairs(
            text_.pair(text_.string_of(0, JsonText::kMostKeyLength), value), limits.first,
            limits.second);
    }
    const auto needed = static_cast<int32_t>(
        std::count_if(all.begin(), all.end(), [](const auto& p) { return std::get<2>(p); }));
    if (limits.first > needed) {
        read_.refuse(path + ".minProperties", "more than the required properties");
    }
    if (limits.second >= 0 && (open || limits.second < static_cast<int32_t>(all.size()))) {
        read_.refuse(path + ".maxProperties", "less than the declared properties");
    }
    // What may follow property i - 1, with or without a property before: rules, so that each is
    // written once.
    std::vector<std::string> names;
    for (const auto& p : all) {
        names.push_back(std::get<0>(p));
    }
    Expr last[2] = {b_.empty(), b_.empty()};
    if (open) {
        const Expr one = text_.pair(text_.other_key(names),
                                    convert(*extra, path + ".additionalProperties", depth + 1));
        const Expr more = b_.repeat(b_.sequence({text_.comma(), one}), 0);
        last[0] = b_.optional(b_.sequence({one, more}));
        last[1] = more;
    }
    for (size_t i = all.size(); i-- > 0;) {
        const auto& [name, one, required] = all[i];
        const Expr item = text_.pair(text_.constant(Json(name)),
                                     convert(*one, path + ".properties." + name, depth + 1));
        const Expr after[2] = {last[0], last[1]};
        for (int before = 0; before < 2; before++) {
            const Expr with =
                b_.sequence({before == 1 ? text_.comma() : b_.empty(), item, after[1]});
            const Expr rule = b_.declare(path + "." + name);
            b_.define(rule, required ? with : b_.choice({with, after[before]}));
            last[before] = rule;
        }
    }
    return b_.sequence({b_.literal("{"), last[0], b_.literal("}")});
}

SchemaConverter::Expr SchemaConverter::any_value() {
    return text_.shared("value", [&] {
        const Expr any = text_.shared("value", [] { return Expr{}; });
        const Expr list = b_.sequence(
            {b_.literal("["),
             b_.optional(b_.sequence({any, b_.repeat(b_.sequence({text_.comma(), any}), 0)})),
             b_.literal("]")});
        return b_.choice({text_.object_of_pairs(
                              text_.pair(text_.string_of(0, JsonText::kMostKeyLength), any), 0, -1),
                          list, text_.string_of(0, -1), number(Json::object(), "", false),
                          b_.literal("true"), b_.literal("false"), b_.literal("null")});
    });
}

}  // namespace app
