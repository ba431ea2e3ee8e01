// keyhole chat: one answer, or a conversation in the terminal. Answers go to standard output;
// everything else (prompts, reasoning, notes) to standard error, so that `keyhole chat -p ... >
// file` holds the answer alone.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <unistd.h>

#include "app/cli/commands.h"
#include "app/cli/start.h"
#include "app/cli/terminal.h"
#include "app/codebase/pack.h"
#include "app/paths.h"
#include "app/remote/remote_engine.h"
#include "runtime/error.h"

namespace app {
namespace {

// Ctrl-C ends the answer; a second one, or one while nothing is answered, ends the program.
std::atomic<bool> interrupted{false};
std::atomic<bool> answering{false};

void on_interrupt(int) {
    if (!answering || interrupted.exchange(true)) {
        std::_Exit(130);
    }
}

std::string read_all(std::istream& in, const std::string& name) {
    std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (in.bad()) {
        throw std::runtime_error(name + " could not be read");
    }
    return text;
}

std::string read_file(const std::string& name) {
    if (name == "-") {
        return read_all(std::cin, "standard input");
    }
    std::error_code error;
    if (std::filesystem::is_directory(name, error)) {
        throw std::runtime_error(name + " is a folder; use --context " + name);
    }
    std::ifstream in(name, std::ios::binary);
    if (!in) {
        throw std::runtime_error(name + " could not be opened");
    }
    return read_all(in, name);
}

// Who answers: the engine of this program, or another one.
using Answerer = std::function<std::unique_ptr<runtime::GenerationStream>(
    const std::vector<runtime::ChatMessage>&)>;

Answerer local_answerer(runtime::EngineThread& engine, const Options& options) {
    return [&](const std::vector<runtime::ChatMessage>& messages) {
        const auto model = engine.model();
        if (!model) {
            throw runtime::ModelError("no model is loaded");
        }
        runtime::ChatOptions format;
        format.enable_thinking = options.think;
        runtime::GenerationRequest request;
        request.prompt = runtime::ChatFormat::encode(*model->tokenizer, messages, {}, format);
        request.sampling = options.sampling;
        request.max_tokens = options.max_tokens;
        request.reply.starts_in_reasoning = options.think;
        request.owner = "chat";
        return engine.submit(std::move(request));
    };
}

Answerer remote_answerer(RemoteEngine& remote, const Options& options) {
    return [&](const std::vector<runtime::ChatMessage>& messages) {
        return remote.chat({messages, options.think, options.sampling, options.max_tokens, {}, ""});
    };
}

class Conversation {
public:
    Conversation(Answerer answerer, const Options& options)
        : answerer_(std::move(answerer)), dim_(is_terminal(STDERR_FILENO)) {
        if (!options.system.empty()) {
            messages_.push_back({runtime::Role::system, options.system});
        }
    }

    // What is put before the next question.
    void add_context(const std::string& text) { context_ += text + "\n"; }

    // False: the answer was stopped by Ctrl-C.
    bool ask(const std::string& question);

private:
    void show(const std::vector<runtime::ReplyDelta>& deltas, std::string& answer);

    const Answerer answerer_;
    const bool dim_;
    std::vector<runtime::ChatMessage> messages_;
    std::string context_;
    bool in_reasoning_ = false;
};

void Conversation::show(const std::vector<runtime::ReplyDelta>& deltas, std::string& answer) {
    using Kind = runtime::ReplyDelta::Kind;
    for (const runtime::ReplyDelta& delta : deltas) {
        if (delta.kind == Kind::reasoning) {
            if (dim_) {
                std::fprintf(stderr, "\033[2m%s\033[0m", delta.text.c_str());
                in_reasoning_ = true;
            }
        } else if (delta.kind == Kind::content) {
            if (in_reasoning_) {
                std::fputs("\n\n", stderr);
                in_reasoning_ = false;
            }
            std::fwrite(delta.text.data(), 1, delta.text.size(), stdout);
            answer += delta.text;
        }
    }
    std::fflush(stderr);
    std::fflush(stdout);
}

bool Conversation::ask(const std::string& question) {
    messages_.push_back({runtime::Role::user, context_ + question});

    std::unique_ptr<runtime::GenerationStream> stream;
    try {
        stream = answerer_(messages_);
    } catch (...) {
        messages_.pop_back();
        throw;
    }
    context_.clear();

    std::string answer;
    ProgressBar reading("reading");
    interrupted = false;
    answering = true;
    bool cancelled = false;
    for (;;) {
        const auto event = stream->next(std::chrono::milliseconds(100));
        if (interrupted && !cancelled) {
            cancelled = true;
            stream->cancel();
        }
        if (!event) {
            if (stream->done()) {
                break;
            }
            continue;
        }
        if (event->kind == runtime::GenerationEvent::Kind::progress) {
            reading.update(event->prompt_done, event->prompt_total);
        } else if (!event->deltas.empty()) {
            reading.clear();
            show(event->deltas, answer);
        }
        if (event->kind == runtime::GenerationEvent::Kind::failed) {
            answering = false;
            messages_.pop_back();
            throw std::runtime_error(event->error);
        }
        if (event->terminal()) {
            if (event->kind == runtime::GenerationEvent::Kind::finished &&
                event->reason == runtime::FinishReason::length) {
                std::fputs("\n", stdout);
                std::fflush(stdout);
                std::fprintf(stderr, "(cut: the limit of tokens is reached)\n");
            }
            break;
        }
    }
    answering = false;
    reading.clear();
    in_reasoning_ = false;
    if (answer.empty() || answer.back() != '\n') {
        std::fputs("\n", stdout);
    }
    std::fflush(stdout);
    messages_.push_back({runtime::Role::assistant, answer});
    return !cancelled;
}

void talk(Conversation& conversation) {
    std::fprintf(stderr, "Ask, end with Ctrl-D; Ctrl-C stops an answer.\n");
    for (;;) {
        std::fprintf(stderr, "\n> ");
        std::fflush(stderr);
        std::string question;
        if (!std::getline(std::cin, question)) {
            std::fputs("\n", stderr);
            return;
        }
        if (question.find_first_not_of(" \t\r") == std::string::npos) {
            continue;
        }
        // A question that cannot be asked (too long, say) does not end the conversation.
        try {
            conversation.ask(question);
        } catch (const std::runtime_error& error) {
            std::fprintf(stderr, "%s\n", printable(error.what(), 2000).c_str());
        }
    }
}

}  // namespace

int run_chat(const Options& options) {
    const std::optional<RemoteOptions> elsewhere = RemoteOptions::from(options);
    std::string path;
    if (!elsewhere) {
        check_device(options);
        path = choose_model(options);
    }

    // Everything that can fail without a model comes before loading it.
    std::string question = options.prompt.value_or("");
    if (!options.prompt_file.empty()) {
        const std::string text = read_file(options.prompt_file);
        question = question.empty() ? text : text + "\n\n" + question;
    } else if (!is_terminal(STDIN_FILENO) && !options.prompt) {
        question = read_all(std::cin, "standard input");
    }
    const bool interactive =
        !options.prompt && options.prompt_file.empty() && is_terminal(STDIN_FILENO);
    if (!interactive && question.find_first_not_of(" \t\r\n") == std::string::npos) {
        throw UsageError("there is no question: -p PROMPT, -f FILE or standard input");
    }
    for (const std::string& folder : options.contexts) {
        if (!std::filesystem::exists(folder)) {
            throw std::runtime_error("--context " + folder + ": there is no such folder");
        }
    }

    runtime::EngineThread engine;
    std::optional<RemoteEngine> remote;
    if (elsewhere) {
        const std::string warning = remote_warning(*elsewhere);
        if (!warning.empty()) {
            std::fprintf(stderr, "%s\n", warning.c_str());
        }
        remote.emplace(*elsewhere);
        remote->models();  // fails now, before folders are read
    } else {
        load_and_wait(engine, path, options);
    }
    Conversation conversation(
        remote ? remote_answerer(*remote, options) : local_answerer(engine, options), options);
    const auto model = engine.model();
    for (const std::string& folder : options.contexts) {
        codebase::ScanOptions how;
        how.cache = cache_folder();
        const codebase::Pack pack = codebase::pack_folder(
            folder, model ? model->tokenizer.get() : nullptr, nullptr, how);
        std::fprintf(stderr, "%s: %lld files, %lld tokens%s\n", printable(pack.root).c_str(),
                     static_cast<long long>(pack.files_taken()),
                     static_cast<long long>(pack.tokens),
                     pack.note.empty() ? "" : ("; " + pack.note).c_str());
        conversation.add_context(pack.text);
    }

    struct sigaction action {};
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, nullptr);
    if (interactive) {
        talk(conversation);
        return 0;
    }
    return conversation.ask(question) ? 0 : 130;
}

}  // namespace app
