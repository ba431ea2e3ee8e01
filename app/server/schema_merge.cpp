#include "app/server/schema_merge.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace app {
namespace {

const Json* member(const Json& object, const char* name) {
    const auto found = object.is_object() ? object.find(name) : object.end();
    return found == object.end() ? nullptr : &*found;
}

std::vector<std::string> types_in(const Json& schema) {
    std::vector<std::string> types;
    if (const Json* type = member(schema, "type")) {
        if (type->is_string()) {
            types.push_back(type->get<std::string>());
        } else if (type->is_array()) {
            for (const Json& one : *type) {
                if (one.is_string()) {
                    types.push_back(one.get<std::string>());
                }
            }
        }
    }
    return types;
}

bool is_integral(const Json& value) {
    return value.is_number_integer() ||
           (value.is_number_float() && std::trunc(value.get<double>()) == value.get<double>());
}

bool has_type(const Json& value, const std::string& type) {
    return (type == "string" && value.is_string()) || (type == "number" && value.is_number()) ||
           (type == "integer" && is_integral(value)) || (type == "boolean" && value.is_boolean()) ||
           (type == "null" && value.is_null()) || (type == "object" && value.is_object()) ||
           (type == "array" && value.is_array());
}

std::optional<std::vector<Json>> constants_of(const Json& schema) {
    if (const Json* fixed = member(schema, "const")) {
        return std::vector<Json>{*fixed};
    }
    if (const Json* values = member(schema, "enum"); values != nullptr && values->is_array()) {
        return std::vector<Json>(values->begin(), values->end());
    }
    return std::nullopt;
}

int64_t code_points(const std::string& text) {
    return std::count_if(text.begin(), text.end(),
                         [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

Json both_types(const Json& a, const Json& b) {
    Json types = Json::array();
    for (const std::string& one : types_in(a)) {
        for (const std::string& other : types_in(b)) {
            const bool narrower =
                (one == "integer" && other == "number") || (one == "number" && other == "integer");
            if (one == other) {
                types.push_back(one);
            } else if (narrower) {
                types.push_back("integer");
            }
        }
    }
    return types;
}

void merge_objects(Json& out, const Json& a, const Json& b, std::string& problem) {
    // additionalProperties of one side speaks of the properties that this side does not name.
    Json properties = Json::object();
    const auto take = [&](const Json& mine, const Json& other) {
        const Json* named = member(mine, "properties");
        if (named == nullptr || !named->is_object()) {
            return;
        }
        for (const auto& [name, schema] : named->items()) {
            if (properties.contains(name)) {
                continue;
            }
            const Json* theirs = member(other, "properties");
            const Json* same = theirs != nullptr ? member(*theirs, name.c_str()) : nullptr;
            const Json* rest = member(other, "additionalProperties");
            if (same != nullptr) {
                properties[name] = merge_schemas(schema, *same, problem);
            } else if (rest != nullptr && rest->is_boolean() && !rest->get<bool>()) {
                properties[name] = false;
            } else if (rest != nullptr && rest->is_object()) {
                properties[name] = merge_schemas(schema, *rest, problem);
            } else {
                properties[name] = schema;
            }
        }
    };
    take(a, b);
    take(b, a);
    if (!properties.empty()) {
        out["properties"] = properties;
    }
    const Json* rest_a = member(a, "additionalProperties");
    const Json* rest_b = member(b, "additionalProperties");
    if (rest_a != nullptr && rest_b != nullptr) {
        out["additionalProperties"] = merge_schemas(*rest_a, *rest_b, problem);
    }
}

void keep_larger(Json& out, const Json& a, const Json& b, const char* name, bool larger) {
    const Json* x = member(a, name);
    const Json* y = member(b, name);
    if (x != nullptr && y != nullptr && x->is_number() && y->is_number()) {
        const bool first = (x->get<double>() >= y->get<double>()) == larger;
        out[name] = first ? *x : *y;
    }
}

}  // namespace

Json merge_schemas(const Json& a, const Json& b, std::string& problem) {
    if (a.is_boolean()) {
        return a.get<bool>() ? b : a;
    }
    if (b.is_boolean()) {
        return b.get<bool>() ? a : b;
    }
    if (!a.is_object() || !b.is_object()) {
        problem = "a schema must be an object or a boolean";
        return false;
    }
    Json out = a;
    for (const auto& [name, value] : b.items()) {
        if (!out.contains(name)) {
            out[name] = value;
        }
    }
    if (member(a, "type") != nullptr && member(b, "type") != nullptr) {
        out["type"] = both_types(a, b);
        if (out["type"].empty()) {
            return false;
        }
    }
    merge_objects(out, a, b, problem);
    const Json* required_a = member(a, "required");
    const Json* required_b = member(b, "required");
    if (required_a != nullptr && required_b != nullptr && required_a->is_array() &&
        required_b->is_array()) {
        for (const Json& name : *required_b) {
            if (std::find(out["required"].begin(), out["required"].end(), name) ==
                out["required"].end()) {
                out["required"].push_back(name);
            }
        }
    }
    for (const char* name :
         {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}) {
        keep_larger(out, a, b, name, true);
    }
    for (const char* name :
         {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}) {
        keep_larger(out, a, b, name, false);
    }
    const auto mine = constants_of(a), theirs = constants_of(b);
    if (mine && theirs) {
        Json common = Json::array();
        for (const Json& value : *mine) {
            if (std::find(theirs->begin(), theirs->end(), value) != theirs->end()) {
                common.push_back(value);
            }
        }
        out.erase("const");
        out["enum"] = common;
    }
    // 'items' of one side speaks of the items that this side's prefixItems does not name.
    if (a.value("prefixItems", Json()) != b.value("prefixItems", Json()) &&
        ((member(a, "prefixItems") != nullptr && member(b, "items") != nullptr) ||
         (member(b, "prefixItems") != nullptr && member(a, "items") != nullptr))) {
        problem = "'prefixItems' of one schema and 'items' of another for one value";
    }
    // Likewise: what is unevaluated is each side's own matter.
    for (const char* name : {"unevaluatedProperties", "unevaluatedItems", "additionalItems"}) {
        const Json* x = member(a, name);
        const Json* y = member(b, name);
        if (x != nullptr && y != nullptr && *x != *y) {
            problem = std::string("two different '") + name + "' for one value";
        }
    }
    if (a.value("uniqueItems", Json()) == Json(true) ||
        b.value("uniqueItems", Json()) == Json(true)) {
        out["uniqueItems"] = true;
    }
    for (const char* name : {"items", "not"}) {
        const Json* x = member(a, name);
        const Json* y = member(b, name);
        if (x != nullptr && y != nullptr && *x != *y) {
            if (std::string_view(name) == "items") {
                out[name] = merge_schemas(*x, *y, problem);
            } else {
                problem = std::string("two different '") + name + "'";
            }
        }
    }
    for (const char* name : {"pattern", "format", "multipleOf", "prefixItems", "$ref"}) {
        const Json* x = member(a, name);
        const Json* y = member(b, name);
        if (x != nullptr && y != nullptr && *x != *y) {
            problem = std::string("two different '") + name + "' for one value";
        }
    }
    // Choices of both sides: each goes into allOf, which is taken apart one after the other.
    for (const char* name : {"anyOf", "oneOf", "allOf"}) {
        const Json* x = member(a, name);
        const Json* y = member(b, name);
        if (x != nullptr && y != nullptr && *x != *y) {
            if (std::string_view(name) == "allOf" && x->is_array() && y->is_array()) {
                for (const Json& one : *y) {
                    out["allOf"].push_back(one);
                }
            } else {
                Json second = Json::object();
                second[name] = *y;
                if (!out.contains("allOf") || !out["allOf"].is_array()) {
                    out["allOf"] = Json::array();
                }
                out["allOf"].push_back(second);
            }
        }
    }
    return out;
}

bool surely_disjoint(const Json& a, const Json& b) {
    if (!a.is_object() || !b.is_object()) {
        return a == Json(false) || b == Json(false);
    }
    const auto mine = constants_of(a), theirs = constants_of(b);
    const auto excludes = [](const std::vector<Json>& values, const Json& schema) {
        return std::all_of(values.begin(), values.end(),
                           [&](const Json& value) { return satisfies(value, schema) == false; });
    };
    if ((mine && excludes(*mine, b)) || (theirs && excludes(*theirs, a))) {
        return true;
    }
    if (member(a, "type") != nullptr && member(b, "type") != nullptr && both_types(a, b).empty()) {
        return true;
    }
    // Objects that must have a property, which must not be the same in both.
    const Json* x = member(a, "properties");
    const Json* y = member(b, "properties");
    const auto requires_it = [](const Json& schema, const std::string& name) {
        const Json* required = member(schema, "required");
        return required != nullptr && required->is_array() &&
               std::find(required->begin(), required->end(), Json(name)) != required->end();
    };
    const bool objects =
        types_in(a) == std::vector<std::string>{"object"} && types_in(b) == types_in(a);
    if (objects && x != nullptr && y != nullptr && x->is_object()) {
        for (const auto& [name, schema] : x->items()) {
            const Json* other = member(*y, name.c_str());
            if (other != nullptr && requires_it(a, name) && requires_it(b, name) &&
                surely_disjoint(schema, *other)) {
                return true;
            }
        }
    }
    return false;
}

std::optional<bool> satisfies(const Json& value, const Json& schema) {
    if (schema.is_boolean()) {
        return schema.get<bool>();
    }
    if (const std::vector<std::string> types = types_in(schema); !types.empty()) {
        if (std::none_of(types.begin(), types.end(),
                         [&](const std::string& type) { return has_type(value, type); })) {
            return false;
        }
    }
    if (const auto constants = constants_of(schema)) {
        if (std::find(constants->begin(), constants->end(), value) == constants->end()) {
            return false;
        }
    }
    const auto number = [&](const char* name) -> std::optional<double> {
        const Json* bound = member(schema, name);
        return bound != nullptr && bound->is_number() ? std::optional(bound->get<double>())
                                                      : std::nullopt;
    };
    if (value.is_number()) {
        const double v = value.get<double>();
        if ((number("minimum") && v < *number("minimum")) ||
            (number("maximum") && v > *number("maximum")) ||
            (number("exclusiveMinimum") && v <= *number("exclusiveMinimum")) ||
            (number("exclusiveMaximum") && v >= *number("exclusiveMaximum"))) {
            return false;
        }
        if (member(schema, "multipleOf") != nullptr) {
            return std::nullopt;
        }
    }
    if (value.is_string()) {
        const auto n = static_cast<double>(code_points(value.get_ref<const std::string&>()));
        if ((number("minLength") && n < *number("minLength")) ||
            (number("maxLength") && n > *number("maxLength"))) {
            return false;
        }
        if (member(schema, "pattern") != nullptr) {
            return std::nullopt;
        }
    }
    if (value.is_object()) {
        for (const char* name : {"properties", "required", "additionalProperties", "minProperties",
                                 "maxProperties", "patternProperties", "propertyNames"}) {
            if (member(schema, name) != nullptr) {
                return std::nullopt;
            }
        }
    }
    if (value.is_array()) {
        for (const char* name :
             {"items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"}) {
            if (member(schema, name) != nullptr) {
                return std::nullopt;
            }
        }
    }
    for (const char* name : {"$ref", "anyOf", "oneOf", "allOf", "not", "if"}) {
        if (member(schema, name) != nullptr) {
            return std::nullopt;
        }
    }
    return true;
}

}  // namespace app
