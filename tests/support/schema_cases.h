// Schemas of the kinds that people send, to see what they cost.
#pragma once

namespace tests {

struct SchemaCase {
    const char* name;
    const char* schema;
};
inline constexpr SchemaCase kSchemaCases[] = {
    {"a flat object",
     R"({"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
         "email": {"type": "string", "format": "email"}, "active": {"type": "boolean"}},
         "required": ["name", "age", "email", "active"], "additionalProperties": false})"},
    {"lists of objects",
     R"({"type": "object", "properties": {"items": {"type": "array", "items": {"type": "object", "properties": {
         "id": {"type": "integer"}, "title": {"type": "string", "maxLength": 80}, "kind": {"enum": ["bug", "feature", "question"]},
         "tags": {"type": "array", "items": {"type": "string"}}}, "required": ["id", "title", "kind"],
         "additionalProperties": false}}}, "required": ["items"], "additionalProperties": false})"},
    {"a tree",
     R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"value": {"type": "string"},
         "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}, "required": ["value", "children"],
         "additionalProperties": false}}})"},
    {"short texts and lists",
     R"({"type": "object", "properties": {"code": {"type": "string", "minLength": 3, "maxLength": 12},
         "name": {"type": "string", "maxLength": 40}, "tags": {"type": "array", "minItems": 2, "maxItems": 5,
         "items": {"type": "string", "maxLength": 20}}, "plate": {"type": "string", "pattern": "^[A-Z]{1,3}-[A-Z]{1,2} [0-9]{1,4}$"},
         "price": {"type": "number", "minimum": 0, "maximum": 9999.99}, "on": {"type": "string", "format": "date"}},
         "required": ["code", "name", "tags", "plate", "price", "on"], "additionalProperties": false})"},
    {"any JSON", "true"},
};

}  // namespace tests
