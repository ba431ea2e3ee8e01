#include "app/window/drag_scan.h"

#include "app/codebase/decode.h"
#include "runtime/log.h"

namespace app::window {

namespace fs = std::filesystem;

DragScan::DragScan(AppState& state,
                   runtime::EngineThread& engine,
                   fs::path cache,
                   std::function<void()> wake)
    : state_(state), engine_(engine), cache_(std::move(cache)), worker_(std::move(wake)) {}

void DragScan::begin(const std::vector<std::string>& paths) {
    end();
    job_ = std::make_shared<Job>();
    began_ = std::chrono::steady_clock::now();
    logged_first_ = logged_exact_ = false;
    DragView& view = state_.drag;
    view = {};
    view.active = true;
    std::vector<fs::path> real(paths.begin(), paths.end());
    view.name =
        codebase::printable_path(real.size() == 1 ? real[0].lexically_normal().filename().string()
                                                  : std::to_string(real.size()) + " things");
    state_.gauge.dragged_name = view.name;
    worker_.add([job = job_, real = std::move(real), model = engine_.model(),
                 cache = cache_]() -> Worker::Done {
        try {
            codebase::ScanOptions how;
            how.cache = cache;
            how.yields = true;
            for (const auto& source : codebase::sources_of(real)) {
                const auto result = codebase::scan(source, model ? model->tokenizer.get() : nullptr,
                                                   how, &job->progress);
                job->note = result.note;
            }
        } catch (const std::exception& failure) {
            job->error = failure.what();
        }
        job->done = true;
        return [] {};
    });
}

void DragScan::end() {
    if (job_) {
        job_->progress.cancel = true;
        job_.reset();
    }
    state_.drag = {};
    state_.gauge.dragged_tokens = 0;
    state_.gauge.dragged_name.clear();
}

bool DragScan::tick() {
    worker_.deliver();
    if (!job_) {
        return false;
    }
    DragView& view = state_.drag;
    const DragView before = view;
    const codebase::ScanProgress& progress = job_->progress;
    view.done = job_->done;
    view.files = progress.found;
    view.bytes = progress.bytes;
    view.tokens = progress.tokens;
    const auto interval = progress.interval();
    view.least = interval.least;
    view.most = interval.most;
    if (view.done) {
        view.problem = job_->error.empty() ? job_->note : job_->error;
    }
    // The gauge shows what is certain and no less than half of what is likely.
    state_.gauge.dragged_tokens = view.done ? view.tokens : (view.least + view.most) / 2;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                        std::chrono::steady_clock::now() - began_)
                        .count();
    const auto note = [&](const char* what) {
        runtime::log(runtime::LogLevel::info,
                     "dragged: " + std::to_string(view.files) + " files, " +
                         std::to_string(view.least) + " to " + std::to_string(view.most) +
                         " tokens, " + what + " after " + std::to_string(ms) + " ms" +
                         (view.problem.empty() ? "" : "; " + view.problem));
    };
    if (!logged_first_ && (view.files > 0 || view.done)) {
        logged_first_ = true;
        note("first figures");
    }
    if (!logged_exact_ && view.done) {
        logged_exact_ = true;
        note("complete");
    }
    return view.files != before.files || view.tokens != before.tokens || view.done != before.done;
}

}  // namespace app::window
