#include "app/window/languages.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace app::window {
namespace {

constexpr uint32_t kCFamily = kPreprocessor | kRawStrings | kCapitalTypes;
constexpr std::string_view kC =
    "alignas alignof and asm auto break case catch class co_await co_return co_yield concept const "
    "const_cast consteval constexpr constinit continue decltype default delete do dynamic_cast "
    "else enum explicit export extern false final for friend goto if import inline module mutable "
    "namespace new noexcept not nullptr NULL operator or override private protected public "
    "register reinterpret_cast requires restrict return sizeof static static_assert static_cast "
    "struct switch template this thread_local throw true try typedef typeid typename union using "
    "virtual volatile while xor __global__ __device__ __shared__ __host__ __restrict__";
constexpr std::string_view kCTypes =
    "bool char char8_t char16_t char32_t double float int int8_t int16_t int32_t int64_t long "
    "short signed size_t ssize_t ptrdiff_t uint8_t uint16_t uint32_t uint64_t uintptr_t intptr_t "
    "unsigned void wchar_t string string_view vector map set pair tuple optional array span "
    "unique_ptr shared_ptr function variant unordered_map unordered_set deque list FILE";

constexpr Language kLanguages[] = {
    {"c h", "C", Family::code, kCFamily, "//", "", "/*", "*/", kC, kCTypes},
    {"cpp c++ cc cxx hpp hxx cuda cu", "C++", Family::code, kCFamily, "//", "", "/*", "*/", kC,
     kCTypes},
    {"objc objective-c objectivec m mm", "Objective-C", Family::code, kCFamily | kAtNames, "//", "",
     "/*", "*/", kC, kCTypes},
    {"glsl hlsl wgsl metal", "Shader", Family::code, kCFamily, "//", "", "/*", "*/",
     "attribute break const continue discard do else fn for highp if in inout layout let lowp "
     "mediump out precision return struct uniform var varying void while",
     "bool float int mat2 mat3 mat4 sampler2D samplerCube uint vec2 vec3 vec4 ivec2 ivec3 ivec4 "
     "f32 i32 u32"},
    {"java", "Java", Family::code, kCapitalTypes | kAtNames | kTripleQuotes, "//", "", "/*", "*/",
     "abstract assert break case catch class const continue default do else enum exports extends "
     "false final finally for goto if implements import instanceof interface module native new "
     "non-sealed null package permits private protected public record requires return sealed "
     "static strictfp super switch synchronized this throw throws transient true try var volatile "
     "when while yield",
     "boolean byte char double float int long short void String Integer List Map"},
    {"csharp cs c#", "C#", Family::code, kCapitalTypes | kPreprocessor | kTripleQuotes, "//", "",
     "/*", "*/",
     "abstract as async await base break case catch checked class const continue default delegate "
     "do else enum event explicit extern false finally fixed for foreach get global goto if "
     "implicit in init interface internal is lock nameof namespace new null operator out override "
     "params partial private protected public readonly record ref required return sealed set "
     "sizeof stackalloc static struct switch this throw true try typeof unchecked unsafe using "
     "value var virtual volatile when where while with yield",
     "bool byte char decimal double dynamic float int long nint nuint object sbyte short string "
     "uint ulong ushort void"},
    {"javascript js jsx mjs cjs node", "JavaScript", Family::code,
     kBackticks | kRegex | kCapitalTypes | kAtNames, "//", "", "/*", "*/",
     "as async await break case catch class const continue debugger default delete do else export "
     "extends false finally for from function get if import in instanceof let new null of return "
     "set static super switch this throw true try typeof undefined var void while with yield NaN "
     "Infinity",
     "Array Boolean Date Error Function Map Math Number Object Promise RegExp Set String Symbol"},
    {"typescript ts tsx", "TypeScript", Family::code,
     kBackticks | kRegex | kCapitalTypes | kAtNames, "//", "", "/*", "*/",
     "abstract as asserts async await break case catch class const continue debugger declare "
     "default delete do else enum export extends false finally for from function get if implements "
     "import in infer instanceof interface is keyof let namespace new null of override private "
     "protected public readonly return satisfies set static super switch this throw true try type "
     "typeof undefined var void while with yield",
     "any bigint boolean never number object string symbol unknown Array Map Promise Record Set "
     "Partial"},
    {"rust rs", "Rust", Family::code,
     kLifetimes | kCapitalTypes | kNestedComments | kBangNames | kPreprocessor, "//", "", "/*",
     "*/",
     "as async await break const continue crate dyn else enum extern false fn for if impl in let "
     "loop match mod move mut pub ref return self Self static struct super trait true type union "
     "unsafe use where while yield",
     "bool char f32 f64 i8 i16 i32 i64 i128 isize str u8 u16 u32 u64 u128 usize"},
    {"go golang", "Go", Family::code, kBackticks | kCapitalTypes, "//", "", "/*", "*/",
     "break case chan const continue default defer else fallthrough false for func go goto if "
     "import interface iota map nil package range return select struct switch true type var",
     "any bool byte complex64 complex128 error float32 float64 int int8 int16 int32 int64 rune "
     "string uint uint8 uint16 uint32 uint64 uintptr"},
    {"kotlin kt kts", "Kotlin", Family::code, kCapitalTypes | kAtNames | kTripleQuotes, "//", "",
     "/*", "*/",
     "abstract actual annotation as break by catch class companion const constructor continue "
     "crossinline data do else enum expect external false final finally for fun get if import in "
     "infix init inline inner interface internal is lateinit lazy null object open operator out "
     "override package private protected public reified return sealed set super suspend tailrec "
     "this throw true try typealias val var vararg when where while",
     ""},
    {"swift", "Swift", Family::code,
     kCapitalTypes | kAtNames | kTripleQuotes | kNestedComments | kPreprocessor, "//", "", "/*",
     "*/",
     "actor any as associatedtype async await break case catch class continue convenience default "
     "defer deinit do dynamic else enum extension fallthrough false fileprivate final for func get "
     "guard if import in indirect init inout internal is lazy let mutating nil open operator "
     "optional override private protocol public repeat required rethrows return self Self set "
     "some static struct subscript super switch throw throws true try typealias unowned var weak "
     "where while",
     ""},
    {"scala", "Scala", Family::code, kCapitalTypes | kAtNames | kTripleQuotes, "//", "", "/*", "*/",
     "abstract case catch class def do else enum extends false final finally for given if implicit "
     "import lazy match new null object override package private protected return sealed super "
     "then this throw trait true try type using val var while with yield",
     ""},
    {"dart", "Dart", Family::code, kCapitalTypes | kAtNames | kTripleQuotes, "//", "", "/*", "*/",
     "abstract as assert async await break case catch class const continue default deferred do "
     "else enum export extends extension external factory false final finally for get if "
     "implements import in is late library mixin new null on operator part required rethrow return "
     "set static super switch this throw true try typedef var void while with yield",
     "bool double dynamic int num String List Map"},
    {"php", "PHP", Family::code, kDollarNames | kCapitalTypes | kPreprocessor, "//", "#", "/*",
     "*/",
     "abstract and array as break callable case catch class clone const continue declare default "
     "do echo else elseif empty enddeclare endfor endforeach endif endswitch endwhile enum extends "
     "false final finally fn for foreach function global goto if implements include include_once "
     "instanceof insteadof interface isset list match namespace new null or print private "
     "protected public readonly require require_once return static switch throw trait true try "
     "unset use var while xor yield",
     "bool float int string void mixed iterable object"},
    {"zig", "Zig", Family::code, kCapitalTypes | kAtNames, "//", "", "", "",
     "addrspace align allowzero and anyframe anytype asm async await break catch comptime const "
     "continue defer else enum errdefer error export extern false fn for if inline noalias null "
     "opaque or orelse packed pub resume return struct suspend switch test threadlocal true try "
     "undefined union unreachable usingnamespace var volatile while",
     "bool f16 f32 f64 i8 i16 i32 i64 isize u8 u16 u32 u64 usize void type anyerror"},
    {"python py python3 ipython", "Python", Family::code, kTripleQuotes | kAtNames | kCapitalTypes,
     "#", "", "", "",
     "and as assert async await break case class continue def del elif else except False finally "
     "for from global if import in is lambda match None nonlocal not or pass raise return self "
     "True try while with yield",
     "bool bytes complex dict float frozenset int list object set str tuple type"},
    {"ruby rb", "Ruby", Family::code, kAtNames | kColonNames | kCapitalTypes | kHereDocuments, "#",
     "", "", "",
     "alias and begin break case class def defined? do else elsif end ensure false for if in "
     "module next nil not or redo require rescue retry return self super then true undef unless "
     "until when while yield attr_accessor attr_reader attr_writer puts",
     ""},
    {"bash sh shell zsh fish ksh console shellsession terminal", "Shell", Family::code,
     kDollarNames | kDashedNames | kHereDocuments | kPlainQuotes, "#", "", "", "",
     "alias break case cd continue declare do done echo elif else esac eval exec exit export false "
     "fi for function if in local printf read readonly return select set shift source sudo test "
     "then trap true unset until while",
     ""},
    {"powershell ps1 pwsh", "PowerShell", Family::code, kDollarNames | kDashedNames | kNoCase, "#",
     "", "<#", "#>",
     "begin break catch class continue do else elseif end exit filter finally for foreach function "
     "if in param process return switch throw trap try until using while",
     ""},
    {"perl pl", "Perl", Family::code, kDollarNames | kAtNames | kHereDocuments, "#", "", "", "",
     "and bless die do else elsif eval for foreach if last local my next no not or our package "
     "print require return say shift sub undef unless until use while",
     ""},
    {"r", "R", Family::code, 0, "#", "", "", "",
     "break else FALSE for function if in Inf library NA NaN next NULL repeat return TRUE while",
     ""},
    {"julia jl", "Julia", Family::code, kTripleQuotes | kAtNames | kCapitalTypes, "#", "",
     "#=", "=#",
     "abstract baremodule begin break catch const continue do else elseif end export false finally "
     "for function global if import in let local macro module mutable nothing primitive quote "
     "return struct true try type using where while",
     ""},
    {"elixir ex exs", "Elixir", Family::code,
     kTripleQuotes | kAtNames | kColonNames | kCapitalTypes, "#", "", "", "",
     "after alias and case catch cond def defmacro defmodule defp defstruct do else end false fn "
     "for if import in nil not or quote raise receive require rescue true try unless use when with",
     ""},
    {"lua", "Lua", Family::code, 0, "--", "", "--[[", "]]",
     "and break do else elseif end false for function goto if in local nil not or repeat return "
     "then true until while",
     ""},
    {"haskell hs", "Haskell", Family::code, kCapitalTypes | kNestedComments, "--", "", "{-", "-}",
     "case class data default deriving do else forall foreign if import in infix infixl infixr "
     "instance let module newtype of qualified then type where",
     ""},
    {"ocaml ml fsharp fs f#", "ML", Family::code, kCapitalTypes | kNestedComments, "//", "", "(*",
     "*)",
     "and as begin class do done downto else end exception external false for fun function functor "
     "if in include inherit lazy let match method module mutable new of open rec sig struct then "
     "to true try type val when while with",
     "bool char float int list option string unit"},
    {"sql postgresql postgres mysql sqlite plsql tsql", "SQL", Family::code,
     kNoCase | kQuoteIsName | kPlainQuotes, "--", "", "/*", "*/",
     "add all alter and any as asc begin between by cascade case check column commit constraint "
     "create cross cte database declare default delete desc distinct drop else end except exists "
     "explain foreign from full function grant group having if in index inner insert intersect "
     "into "
     "is join key lateral left like limit natural not null offset on or order outer over partition "
     "primary procedure references replace returning right rollback row rows select set table then "
     "trigger truncate union unique update using values view when where window with",
     "bigint blob boolean bytea char date decimal double float int integer json jsonb numeric real "
     "serial smallint text time timestamp uuid varchar"},
    {"cmake", "CMake", Family::code, kDollarNames | kNoCase, "#", "", "#[[", "]]",
     "add_compile_options add_custom_command add_custom_target add_executable add_library add_test "
     "cmake_minimum_required configure_file else elseif enable_testing endforeach endfunction "
     "endif "
     "endmacro endwhile find_library find_package foreach function if include install list macro "
     "message option project return set set_target_properties string target_compile_definitions "
     "target_compile_features target_compile_options target_include_directories "
     "target_link_libraries while",
     "PUBLIC PRIVATE INTERFACE REQUIRED STATIC SHARED"},
    {"make makefile mk", "Makefile", Family::code, kDollarNames | kDashedNames, "#", "", "", "",
     "define else endef endif export ifdef ifeq ifndef ifneq include override unexport", ""},
    {"dockerfile docker containerfile", "Dockerfile", Family::code, kDollarNames | kDashedNames,
     "#", "", "", "",
     "ADD ARG AS CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL ONBUILD RUN SHELL "
     "STOPSIGNAL USER VOLUME WORKDIR",
     ""},
    {"nix", "Nix", Family::code, kDashedNames, "#", "", "/*", "*/",
     "assert else false if in inherit let null or rec then true with", ""},
    {"lisp elisp clojure clj scheme racket", "Lisp", Family::code, kDashedNames | kColonNames, ";",
     "", "#|", "|#",
     "and cond def defmacro defmethod defn defun define do else fn if lambda let let* letrec loop "
     "nil not ns or progn quote recur require set! setq t when",
     ""},
    {"asm nasm s assembly armasm", "Assembly", Family::code, kNoCase | kDollarNames, ";", "#", "",
     "",
     "add and call cmp db dd dq extern global inc ja jb je jg jl jmp jne jnz jz lea ldr mov mul "
     "or pop push ret section str sub syscall test xor",
     ""},
    {"vb vbnet basic vba", "Basic", Family::code, kNoCase, "'", "", "", "",
     "and as byref byval call case class const dim do each else elseif end exit false for function "
     "get if imports in is loop me module new next not nothing or private public return select set "
     "sub then to true until wend while with",
     "boolean double integer long object string"},
    {"protobuf proto graphql gql thrift", "Schema", Family::code, kCapitalTypes | kAtNames, "//",
     "#", "/*", "*/",
     "enum extend fragment import input interface message mutation oneof option optional package "
     "query repeated required returns rpc schema service syntax type union",
     "bool bytes double fixed32 fixed64 float int32 int64 string uint32 uint64 Int Float String "
     "Boolean ID"},
    {"latex tex", "LaTeX", Family::code, 0, "%", "", "", "", "", ""},
    {"json jsonc json5 jsonl ndjson", "JSON", Family::json},
    {"yaml yml", "YAML", Family::yaml},
    {"toml ini cfg conf properties dotenv env", "TOML", Family::ini},
    {"html xml svg xhtml vue svelte rss", "HTML", Family::markup},
    {"css scss sass less", "CSS", Family::css},
    {"diff patch", "Diff", Family::diff},
    {"markdown md", "Markdown", Family::markdown},
    {"text txt plain plaintext output log none csv ascii", "", Family::none},
};

// Found by name; built once.
struct Index {
    struct Words {
        std::unordered_set<std::string_view> keywords, types;
    };
    std::unordered_map<std::string_view, const Language*> by_name;
    std::unordered_map<const Language*, Words> words;

    Index() {
        for (const Language& language : kLanguages) {
            for_each_word(language.names,
                          [&](std::string_view name) { by_name.emplace(name, &language); });
            Words& mine = words[&language];
            for_each_word(language.keywords, [&](std::string_view w) { mine.keywords.insert(w); });
            for_each_word(language.types, [&](std::string_view w) { mine.types.insert(w); });
        }
    }

    template <typename Take>
    static void for_each_word(std::string_view text, Take take) {
        for (size_t at = 0; at < text.size();) {
            const size_t end = std::min(text.find(' ', at), text.size());
            if (end > at) {
                take(text.substr(at, end - at));
            }
            at = end + 1;
        }
    }
};

const Index& index() {
    static const Index index;
    return index;
}

bool contains(const std::unordered_set<std::string_view>& words,
              const Language& language,
              std::string_view word) {
    if (words.contains(word)) {
        return true;
    }
    if ((language.habits & kNoCase) == 0) {
        return false;
    }
    std::string lower(word);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    return words.contains(lower);
}

}  // namespace

const Language& language_of(std::string_view name) {
    const auto found = index().by_name.find(name);
    return found == index().by_name.end() ? kLanguages[1] : *found->second;
}

bool is_keyword(const Language& language, std::string_view word) {
    return contains(index().words.at(&language).keywords, language, word);
}
bool is_type(const Language& language, std::string_view word) {
    return contains(index().words.at(&language).types, language, word);
}

}  // namespace app::window
