#include "app/codebase/tree.h"

#include <algorithm>
#include <string_view>

namespace app::codebase {
namespace {

// Where the folders of a path end: "a/b/c.h" -> 1, 3.
std::vector<size_t> slashes_of(std::string_view path) {
    std::vector<size_t> slashes;
    for (size_t at = path.find('/'); at != std::string_view::npos; at = path.find('/', at + 1)) {
        slashes.push_back(at);
    }
    return slashes;
}

// Files deeper than `depth` folders are told as a number.
std::string draw(const std::vector<TreeLine>& lines, size_t depth, size_t& count) {
    std::string out, folder;  // the folder whose line was written last, with its slash
    count = 0;
    for (size_t i = 0; i < lines.size();) {
        const std::string& path = lines[i].path;
        const std::vector<size_t> slashes = slashes_of(path);
        const size_t levels = std::min(slashes.size(), depth);
        const auto common = static_cast<size_t>(
            std::mismatch(path.begin(), path.end(), folder.begin(), folder.end()).first -
            path.begin());
        for (size_t level = 0; level < levels; level++) {
            if (slashes[level] >= common) {
                const size_t begin = level == 0 ? 0 : slashes[level - 1] + 1;
                out.append(level * 2, ' ');
                out.append(path, begin, slashes[level] + 1 - begin);
                out += '\n';
                count++;
            }
        }
        folder = levels == 0 ? "" : path.substr(0, slashes[levels - 1] + 1);
        const size_t begin = folder.size();
        out.append(levels * 2, ' ');
        count++;
        if (slashes.size() > depth) {
            const std::string below = path.substr(0, slashes[depth] + 1);
            size_t files = 0;
            while (i < lines.size() && lines[i].path.starts_with(below)) {
                files++;
                i++;
            }
            out.append(below, begin, std::string::npos);
            out += " (" + std::to_string(files) + (files == 1 ? " file)\n" : " files)\n");
            continue;
        }
        out.append(path, begin, std::string::npos);
        out += lines[i].remark.empty() ? "\n" : " (" + lines[i].remark + ")\n";
        i++;
    }
    return out;
}

}  // namespace

std::string tree_text(const std::vector<TreeLine>& lines, size_t max_lines) {
    size_t deepest = 0;
    for (const TreeLine& line : lines) {
        deepest = std::max(
            deepest, static_cast<size_t>(std::count(line.path.begin(), line.path.end(), '/')));
    }
    for (size_t depth = deepest;; depth--) {
        size_t count = 0;
        std::string text = draw(lines, depth, count);
        if (count <= max_lines) {
            return text;
        }
        if (depth == 0) {
            // Too many side by side: the first ones and a number.
            size_t end = 0;
            for (size_t line = 0; line < max_lines; line++) {
                end = text.find('\n', end) + 1;
            }
            return text.substr(0, end) + "and " + std::to_string(count - max_lines) + " more\n";
        }
    }
}

}  // namespace app::codebase
