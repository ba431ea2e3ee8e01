// AttachedFiles: the files of a dropped folder, as the model was shown them. The list never
// changes, and its copies are one: a repository has thousands, and their names are on screen, in
// the draft and on their way to the store at once. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace app {

struct AttachedFile {
    std::string path;
    std::string reason;  // not empty: why it is not shown to the model in full
    int64_t tokens = 0;
    bool included = true;
};

class AttachedFiles {
public:
    AttachedFiles() = default;
    AttachedFiles(std::vector<AttachedFile> files) {
        if (!files.empty()) {
            List list{std::move(files), 0};
            for (const AttachedFile& file : list.files) {
                list.included += file.included;
            }
            list_ = std::make_shared<const List>(std::move(list));
        }
    }
    AttachedFiles(std::initializer_list<AttachedFile> files)
        : AttachedFiles(std::vector<AttachedFile>(files)) {}

    const std::vector<AttachedFile>& all() const {
        static const std::vector<AttachedFile> none;
        return list_ ? list_->files : none;
    }
    auto begin() const { return all().begin(); }
    auto end() const { return all().end(); }
    size_t size() const { return all().size(); }
    bool empty() const { return list_ == nullptr; }
    const AttachedFile& operator[](size_t i) const { return all()[i]; }
    // How many the model reads: whole, or their outline.
    int64_t included() const { return list_ ? list_->included : 0; }

private:
    struct List {
        std::vector<AttachedFile> files;
        int64_t included = 0;
    };
    std::shared_ptr<const List> list_;  // null: none
};

}  // namespace app
