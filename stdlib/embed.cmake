# Writes OUT, a C++ file that holds every file named in LIST (all below ROOT) as a Lua module by name.
file(STRINGS ${LIST} files)
set(assembly "")
set(rows "")
set(index 0)
foreach(path IN LISTS files)
  file(RELATIVE_PATH name ${ROOT} ${path})
  set(file ${name})
  string(REGEX REPLACE "\\.lua$" "" name ${name})
  string(REGEX REPLACE "/init$" "" name ${name})
  string(REPLACE "/" "." name ${name})
  string(APPEND assembly
    "asm(\".section .rodata\\nstdlib_${index}:\\n.incbin \\\"${path}\\\"\\nstdlib_${index}_end:\\n.byte 0\\n.previous\");\n"
    "extern \"C\" const char stdlib_${index}[], stdlib_${index}_end[];\n")
  string(APPEND rows "    {\"${name}\", \"${file}\", {stdlib_${index}, stdlib_${index}_end}},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE ${OUT} "// Made by stdlib/embed.cmake: the standard library's Lua files.
#include \"host/vm/stdlib.h\"

${assembly}
namespace trainhost::vm {
namespace {
struct Row {
  std::string_view name, file;
  struct { const char *begin, *end; } text;
};
const Row kRows[] = {
${rows}};
}  // namespace

size_t stdlib_size() noexcept { return sizeof kRows / sizeof *kRows; }
StdlibFile stdlib_file(size_t i) noexcept {
  return {kRows[i].name, kRows[i].file, {kRows[i].text.begin, static_cast<size_t>(kRows[i].text.end - kRows[i].text.begin)}};
}
}  // namespace trainhost::vm
")
