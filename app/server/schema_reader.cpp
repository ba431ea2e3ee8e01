#include "app/server/schema_reader.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <utility>

#include "app/server/api_error.h"
#include "app/server/schema_merge.h"

namespace app {
namespace {

constexpr int64_t kMaxCount = 1'000'000'000;
constexpr int64_t kMostRequired = 100'000;  // characters or items that must be there
constexpr size_t kMaxWays = 256;            // of anyOf after merging
constexpr size_t kMaxValues = 5'000;        // of one enum

constexpr std::string_view kIgnored[] = {"title",
                                         "description",
                                         "default",
                                         "examples",
                                         "example",
                                         "$comment",
                                         "$schema",
                                         "$id",
                                         "$anchor",
                                         "$defs",
                                         "definitions",
                                         "deprecated",
                                         "readOnly",
                                         "writeOnly",
                                         "format",
                                         "contentMediaType",
                                         "contentEncoding",
                                         "strict",
                                         "discriminator",
                                         "externalDocs",
                                         "xml"};

}  // namespace

const Json* schema_member(const Json& object, std::string_view name) {
    const auto found = object.is_object() ? object.find(std::string(name)) : object.end();
    return found == object.end() ? nullptr : &*found;
}

const std::vector<std::string_view>& refused_keywords() {
    static const std::vector<std::string_view> kRefused = {"not",
                                             "if",
                                             "then",
                                             "else",
                                             "patternProperties",
                                             "propertyNames",
                                             "dependentRequired",
                                             "dependentSchemas",
                                             "dependencies",
                                             "contains",
                                             "minContains",
                                             "maxContains",
                                             "unevaluatedItems",
                                             "$dynamicRef",
                                             "$recursiveRef",
                                             "contentSchema"};
    return kRefused;
}

void SchemaReader::refuse(const std::string& path, const std::string& why) {
    throw ApiError::invalid("'" + path + "' cannot be honoured: " + why + ".", path,
                            "unsupported_schema");
}

void SchemaReader::spend(const Json& value, const std::string& path) {
    std::vector<const Json*> todo = {&value};
    while (!todo.empty()) {
        const Json& one = *todo.back();
        todo.pop_back();
        work_left_ -= 1 + (one.is_string() ? static_cast<int64_t>(
                                                 one.get_ref<const std::string&>().size() / 64)
                                           : 0);
        if (work_left_ < 0) {
            refuse(path, "with its references followed the schema is too large");
        }
        if (one.is_structured()) {
            for (const Json& inner : one) {
                todo.push_back(&inner);
            }
        }
    }
}

Json SchemaReader::flattened(const Json& given, const std::string& path) {
    spend(given, path);
    Json schema = given;
    for (int depth = 0; schema.is_object(); depth++) {
        if (depth > kMaxDepth) {
            refuse(path, "its references and allOf do not come to an end");
        }
        if (const Json* reference = schema_member(schema, "$ref")) {
            const Json target = resolve(*reference, path);
            schema.erase("$ref");
            keep_to_itself(target, schema, path);
            schema = merged(target, schema, path);
        } else if (const Json* all = schema_member(schema, "allOf")) {
            if (!all->is_array()) {
                refuse(path + ".allOf", "must be a list");
            }
            if (all->size() > kMaxWays) {
                refuse(path + ".allOf", "more than " + std::to_string(kMaxWays) + " schemas");
            }
            const Json list = *all;
            schema.erase("allOf");
            for (const Json& one : list) {
                keep_to_itself(one, list.size() > 1 ? list : schema, path);
                schema = merged(schema, one, path);
            }
        } else {
            break;
        }
    }
    return schema;
}

// unevaluatedProperties of a part does not see the properties beside that part, which merging
// would show it.
void SchemaReader::keep_to_itself(const Json& part, const Json& beside, const std::string& path) {
    if (schema_member(part, "unevaluatedProperties") != nullptr &&
        (beside.is_array() || !only_annotations_beside(beside, ""))) {
        refuse(path + ".unevaluatedProperties", "in a schema that others are merged with");
    }
}

Json SchemaReader::merged(const Json& a, const Json& b, const std::string& path) {
    spend(a, path);
    spend(b, path);
    std::string problem;
    Json out = merge_schemas(a, b, problem);
    if (!problem.empty()) {
        refuse(path, problem);
    }
    return out;
}

const Json& SchemaReader::resolve(const Json& reference, const std::string& path) {
    if (!reference.is_string()) {
        refuse(path + ".$ref", "must be a string");
    }
    std::string text = reference.get<std::string>();
    if (!text.starts_with('#')) {
        refuse(path + ".$ref", "only references within the schema (#/...) are followed");
    }
    std::string decoded;
    for (size_t i = 1; i < text.size(); i++) {
        if (text[i] == '%' && i + 2 < text.size()) {
            decoded +=
                static_cast<char>(std::strtol(text.substr(i + 1, 2).c_str(), nullptr, 16));
            i += 2;
        } else {
            decoded += text[i];
        }
    }
    try {
        const Json::json_pointer pointer(decoded);
        if (root_.contains(pointer)) {
            return root_.at(pointer);
        }
    } catch (const Json::exception&) {
        // not a pointer
    }
    refuse(path + ".$ref", "there is no " + text);
}

bool SchemaReader::only_annotations_beside(const Json& schema, std::string_view keyword) {
    for (const auto& [name, unused] : schema.items()) {
        if (name != keyword &&
            std::find(std::begin(kIgnored), std::end(kIgnored), name) == std::end(kIgnored)) {
            return false;
        }
    }
    return true;
}

std::optional<std::vector<Json>> SchemaReader::choices(const Json& schema, const std::string& path) {
    for (const char* name : {"anyOf", "oneOf"}) {
        const Json* list = schema_member(schema, name);
        if (list == nullptr) {
            continue;
        }
        if (!list->is_array() || list->empty()) {
            refuse(path + "." + name, "must be a list of schemas");
        }
        if (list->size() > kMaxWays) {
            refuse(path + "." + name, "too many alternatives");
        }
        if (std::string_view(name) == "oneOf") {
            std::vector<Json> flat;
            for (const Json& one : *list) {
                flat.push_back(flattened(one, path));
            }
            for (size_t i = 0; i < flat.size(); i++) {
                for (size_t k = i + 1; k < flat.size(); k++) {
                    if (!surely_disjoint(flat[i], flat[k])) {
                        refuse(path + ".oneOf", "alternatives " + std::to_string(i) + " and " +
                                                    std::to_string(k) +
                                                    " may both hold for one value; use anyOf, "
                                                    "or a property with different constants");
                    }
                }
            }
        }
        Json beside = schema;
        beside.erase(name);
        const bool bare = only_annotations_beside(beside, "");
        std::vector<Json> ways;
        for (const Json& one : *list) {
            if (!bare) {
                keep_to_itself(one, beside, path);
            }
            ways.push_back(bare ? one : merged(flattened(one, path), beside, path));
        }
        return ways;
    }
    return std::nullopt;
}

void SchemaReader::refuse_unknown(const Json& schema, const std::string& path) {
    for (const std::string_view name : refused_keywords()) {
        if (schema_member(schema, name) != nullptr) {
            refuse(path + "." + std::string(name), "this keyword is not supported");
        }
    }
}

std::optional<std::vector<Json>> SchemaReader::constants(const Json& schema, const std::string& path) {
    const Json* fixed = schema_member(schema, "const");
    const Json* list = schema_member(schema, "enum");
    if (fixed == nullptr && list == nullptr) {
        return std::nullopt;
    }
    if (list != nullptr && (!list->is_array() || list->empty())) {
        if (list->is_array()) {
            return std::vector<Json>{};
        }
        refuse(path + ".enum", "must be a list of values");
    }
    if (list != nullptr && list->size() > kMaxValues) {
        refuse(path + ".enum", "more than " + std::to_string(kMaxValues) + " values");
    }
    std::vector<Json> values;
    const Json only = fixed != nullptr ? Json::array({*fixed}) : *list;
    Json rest = schema;  // without the list itself, which each value would be looked up in
    rest.erase("const");
    if (fixed == nullptr) {
        rest.erase("enum");
    }
    for (const Json& value : only) {
        const std::optional<bool> good = satisfies(value, rest);
        if (!good) {
            refuse(path, "enum or const beside keywords that cannot be decided for its values");
        }
        if (*good) {
            values.push_back(value);
        }
    }
    return values;
}

std::vector<std::string> SchemaReader::types(const Json& schema, const std::string& path) {
    static constexpr std::string_view kTypes[] = {"object",  "array",   "string", "number",
                                                  "integer", "boolean", "null"};
    std::vector<std::string> all;
    const auto take = [&](const Json& type) {
        if (!type.is_string() || std::find(std::begin(kTypes), std::end(kTypes),
                                           type.get<std::string>()) == std::end(kTypes)) {
            refuse(path + ".type",
                   "must be one of object, array, string, number, integer, boolean, null, or a "
                   "list of these");
        }
        all.push_back(type.get<std::string>());
    };
    if (const Json* type = schema_member(schema, "type")) {
        if (type->is_array()) {
            if (type->empty()) {
                refuse(path + ".type", "must not be an empty list");
            }
            for (const Json& one : *type) {
                take(one);
            }
        } else {
            take(*type);
        }
        return all;
    }
    static constexpr std::pair<std::string_view, std::string_view> kSigns[] = {
        {"properties", "object"},
        {"required", "object"},
        {"additionalProperties", "object"},
        {"minProperties", "object"},
        {"maxProperties", "object"},
        {"items", "array"},
        {"prefixItems", "array"},
        {"minItems", "array"},
        {"maxItems", "array"},
        {"uniqueItems", "array"},
        {"pattern", "string"},
        {"minLength", "string"},
        {"maxLength", "string"},
        {"minimum", "number"},
        {"maximum", "number"},
        {"exclusiveMinimum", "number"},
        {"exclusiveMaximum", "number"},
        {"multipleOf", "number"}};
    for (const auto& [keyword, type] : kSigns) {
        if (schema_member(schema, keyword) != nullptr &&
            std::find(all.begin(), all.end(), type) == all.end()) {
            all.emplace_back(type);
        }
    }
    return all;
}

std::optional<Bound> SchemaReader::bound(const Json& schema,
                           const std::string& path,
                           const char* inclusive,
                           const char* exclusive,
                           bool lower) {
    std::optional<Bound> result;
    double value = 0;
    const auto take = [&](const char* name, bool with) {
        const Json* given = schema_member(schema, name);
        if (given == nullptr) {
            return;
        }
        if (given->is_boolean() && !with) {  // draft 4
            if (given->get<bool>() && result) {
                result->inclusive = false;
            }
            return;
        }
        if (!given->is_number()) {
            refuse(path + "." + name, "must be a number");
        }
        const auto plain = plain_decimal(to_text(*given));
        if (!plain) {
            refuse(path + "." + name, "a number of more than 40 digits");
        }
        const double v = given->get<double>();
        const bool tighter =
            !result || (lower ? v > value : v < value) || (v == value && !with);
        if (tighter) {
            result = Bound{*plain, with};
            value = v;
        }
    };
    take(inclusive, true);
    take(exclusive, false);
    return result;
}

std::pair<int32_t, int32_t> SchemaReader::counts(const Json& schema,
                                          const std::string& path,
                                          const char* least_name,
                                          const char* most_name) {
    const auto take = [&](const char* name, int64_t otherwise) -> int64_t {
        const Json* given = schema_member(schema, name);
        if (given == nullptr) {
            return otherwise;
        }
        if (!given->is_number() || given->get<double>() < 0 ||
            std::trunc(given->get<double>()) != given->get<double>()) {
            refuse(path + "." + name, "must be a whole number of at least 0");
        }
        return static_cast<int64_t>(std::min(given->get<double>(), 1e15));
    };
    const int64_t least = take(least_name, 0), most = take(most_name, -1);
    if (least > kMostRequired) {
        refuse(path + "." + least_name, "more than " + std::to_string(kMostRequired));
    }
    return {static_cast<int32_t>(least), most > kMaxCount ? -1 : static_cast<int32_t>(most)};
}

const Json* SchemaReader::pattern_of(const Json& schema, const std::string& path) {
    const Json* pattern = schema_member(schema, "pattern");
    if (pattern == nullptr) {
        return nullptr;
    }
    if (!pattern->is_string()) {
        refuse(path + ".pattern", "must be a string");
    }
    static const std::string_view kHonoured[] = {"date", "time",  "date-time", "uuid",
                                                 "ipv4", "email", "hostname"};
    if (const Json* format = schema_member(schema, "format");
        format != nullptr && format->is_string() &&
        std::find(std::begin(kHonoured), std::end(kHonoured), format->get<std::string>()) !=
            std::end(kHonoured)) {
        refuse(path + ".pattern",
               "beside this format it is not supported; leave out one of them");
    }
    return pattern;
}

const std::string* SchemaReader::format_of(const Json& schema) {
    const Json* format = schema_member(schema, "format");
    if (format == nullptr || !format->is_string()) {
        return nullptr;
    }
    static const std::string kDate =
        "[12]\\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|"
        "30)|02-(0[1-9]|1\\d|2[0-8]))";
    static const std::string kTime =
        "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)";
    static const std::map<std::string, std::string> kFormats = {
        {"date", "^" + kDate + "$"},
        {"time", "^" + kTime + "$"},
        {"date-time", "^" + kDate + "T" + kTime + "$"},
        {"uuid", "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
        {"ipv4",
         "^((25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)\\.){3}(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?"
         "\\d)$"},
        {"email",
         "^[a-z0-9_+-]{1,32}(\\.[a-z0-9_+-]{1,32}){0,3}@[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?("
         "\\.[a-z]{2,16}){1,3}$"},
        {"hostname",
         "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?){0,4}$"}};
    const auto known = kFormats.find(format->get<std::string>());
    if (known == kFormats.end()) {
        return nullptr;
    }
    return &known->second;
}

}  // namespace app
