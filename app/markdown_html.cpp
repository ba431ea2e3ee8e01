#include "app/markdown_html.h"

#include <md4c.h>

namespace app {
namespace {

struct Writer {
    std::string out;
};

std::string text_of(const MD_ATTRIBUTE& attribute) {
    return attribute.text ? std::string(attribute.text, attribute.size) : "";
}

bool is_web_address(const std::string& address) {
    return address.starts_with("https://") || address.starts_with("http://") ||
           address.starts_with("mailto:");
}

const char* cell_style(const MD_BLOCK_TD_DETAIL* cell) {
    switch (cell->align) {
        case MD_ALIGN_CENTER:
            return " style=\"text-align:center\"";
        case MD_ALIGN_RIGHT:
            return " style=\"text-align:right\"";
        default:
            return "";
    }
}

int enter_block(MD_BLOCKTYPE type, void* detail, void* user) {
    std::string& out = static_cast<Writer*>(user)->out;
    switch (type) {
        case MD_BLOCK_QUOTE:
            out += "<blockquote>\n";
            break;
        case MD_BLOCK_UL:
            out += "<ul>\n";
            break;
        case MD_BLOCK_OL:
            out += "<ol start=\"" +
                   std::to_string(static_cast<MD_BLOCK_OL_DETAIL*>(detail)->start) + "\">\n";
            break;
        case MD_BLOCK_LI: {
            const auto* li = static_cast<MD_BLOCK_LI_DETAIL*>(detail);
            out += "<li>";
            if (li->is_task) {
                out += li->task_mark == ' ' ? "\u2610 " : "\u2611 ";
            }
            break;
        }
        case MD_BLOCK_HR:
            out += "<hr>\n";
            break;
        case MD_BLOCK_H:
            out += "<h" + std::to_string(static_cast<MD_BLOCK_H_DETAIL*>(detail)->level) + ">";
            break;
        case MD_BLOCK_CODE:
            out += "<pre><code>";
            break;
        case MD_BLOCK_P:
            out += "<p>";
            break;
        case MD_BLOCK_TABLE:
            out += "<table>\n";
            break;
        case MD_BLOCK_THEAD:
            out += "<thead>\n";
            break;
        case MD_BLOCK_TBODY:
            out += "<tbody>\n";
            break;
        case MD_BLOCK_TR:
            out += "<tr>";
            break;
        case MD_BLOCK_TH:
            out += std::string("<th") + cell_style(static_cast<MD_BLOCK_TD_DETAIL*>(detail)) + ">";
            break;
        case MD_BLOCK_TD:
            out += std::string("<td") + cell_style(static_cast<MD_BLOCK_TD_DETAIL*>(detail)) + ">";
            break;
        case MD_BLOCK_DOC:
        case MD_BLOCK_HTML:
            break;
    }
    return 0;
}

int leave_block(MD_BLOCKTYPE type, void* detail, void* user) {
    std::string& out = static_cast<Writer*>(user)->out;
    switch (type) {
        case MD_BLOCK_QUOTE:
            out += "</blockquote>\n";
            break;
        case MD_BLOCK_UL:
            out += "</ul>\n";
            break;
        case MD_BLOCK_OL:
            out += "</ol>\n";
            break;
        case MD_BLOCK_LI:
            out += "</li>\n";
            break;
        case MD_BLOCK_H:
            out += "</h" + std::to_string(static_cast<MD_BLOCK_H_DETAIL*>(detail)->level) + ">\n";
            break;
        case MD_BLOCK_CODE:
            out += "</code></pre>\n";
            break;
        case MD_BLOCK_P:
            out += "</p>\n";
            break;
        case MD_BLOCK_TABLE:
            out += "</table>\n";
            break;
        case MD_BLOCK_THEAD:
            out += "</thead>\n";
            break;
        case MD_BLOCK_TBODY:
            out += "</tbody>\n";
            break;
        case MD_BLOCK_TR:
            out += "</tr>\n";
            break;
        case MD_BLOCK_TH:
            out += "</th>";
            break;
        case MD_BLOCK_TD:
            out += "</td>";
            break;
        case MD_BLOCK_DOC:
        case MD_BLOCK_HR:
        case MD_BLOCK_HTML:
            break;
    }
    return 0;
}

int span(MD_SPANTYPE type, void* detail, void* user, bool enter) {
    Writer& writer = *static_cast<Writer*>(user);
    const auto tag = [&](const char* name) {
        writer.out += std::string(enter ? "<" : "</") + name + ">";
    };
    switch (type) {
        case MD_SPAN_EM:
            tag("em");
            break;
        case MD_SPAN_STRONG:
            tag("strong");
            break;
        case MD_SPAN_CODE:
            tag("code");
            break;
        case MD_SPAN_DEL:
            tag("del");
            break;
        case MD_SPAN_A: {
            const std::string address = text_of(static_cast<MD_SPAN_A_DETAIL*>(detail)->href);
            if (is_web_address(address)) {
                writer.out +=
                    enter ? "<a rel=\"noreferrer\" href=\"" + escape_html(address) + "\">" : "</a>";
            }
            break;
        }
        case MD_SPAN_IMG:
            writer.out += enter ? "[" : "]";
            break;
        default:
            break;
    }
    return 0;
}

int enter_span(MD_SPANTYPE type, void* detail, void* user) {
    return span(type, detail, user, true);
}

int leave_span(MD_SPANTYPE type, void* detail, void* user) {
    return span(type, detail, user, false);
}

int text(MD_TEXTTYPE type, const MD_CHAR* bytes, MD_SIZE size, void* user) {
    std::string& out = static_cast<Writer*>(user)->out;
    switch (type) {
        case MD_TEXT_BR:
            out += "<br>\n";
            break;
        case MD_TEXT_SOFTBR:
            out += "\n";
            break;
        case MD_TEXT_NULLCHAR:
            out += "\uFFFD";
            break;
        case MD_TEXT_ENTITY:
            out.append(bytes, size);  // checked by the parser: &name; or &#number;
            break;
        default:
            out += escape_html({bytes, size});
    }
    return 0;
}

}  // namespace

std::string escape_html(std::string_view text) {
    std::string out;
    out.reserve(text.size() + text.size() / 8);
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

std::string markdown_to_html(std::string_view markdown) {
    MD_PARSER parser{};
    parser.flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS |
                   MD_FLAG_PERMISSIVEURLAUTOLINKS | MD_FLAG_NOHTMLBLOCKS | MD_FLAG_NOHTMLSPANS;
    parser.enter_block = enter_block;
    parser.leave_block = leave_block;
    parser.enter_span = enter_span;
    parser.leave_span = leave_span;
    parser.text = text;
    Writer writer;
    if (md_parse(markdown.data(), static_cast<MD_SIZE>(markdown.size()), &parser, &writer) != 0) {
        return "<pre>" + escape_html(markdown) + "</pre>";
    }
    return writer.out;
}

}  // namespace app
