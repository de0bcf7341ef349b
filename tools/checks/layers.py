#!/usr/bin/env python3
"""Keeps the core's rules: who may include whom, no conditional code, no mutable static data, no heap,
no printing, no recursion.

    layers.py [--root DIR] [--objects libkedge.a]    exit 1 and one line for each violation
    layers.py --self-test                            plants one violation of each kind and looks for it
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

# Module -> what it may include, besides itself. The direction of STYLE.md, "Who may include whom".
ALLOWED = {
    "base": "",
    "flash": "base",
    "crypto": "base",
    "log": "base flash",
    "image": "base flash crypto",
    "swap": "base flash crypto log image",
    "boot": "base flash crypto log image swap",
    "smp": "base",
    "transport": "base",
    "transform": "base flash crypto image",
    "agent": "base flash crypto log image swap boot transform",
    "stage": "base flash crypto log image swap boot agent transform",
}
# SMP's handlers are compositions: they hand requests to the agent. Codec, dispatcher and client do not.
HANDLERS = re.compile(r"src/smp/(group_\w+|service)\.[ch]$|include/kedge/service\.h$")
HANDLERS_ALLOWED = "base flash crypto log image swap boot agent stage transform"
# The client runs on the other side and reads images: version and hash types.
CLIENT = re.compile(r"src/smp/client\w*\.[ch]$|include/kedge/smp_client\.h$")
CLIENT_ALLOWED = "base image"

# Public header -> its module; a header of a module's name, or NAME_something.h of one listed, needs no entry.
HEADERS = {
    "error": "base", "region": "flash", "recorder": "flash", "spinor": "flash",
    "journal": "log", "settings": "log", "trailer": "image", "slot": "image",
    "layout": "swap", "plan": "swap", "backup": "swap", "budget": "swap", "policy": "boot", "history": "swap",
    "service": "smp", "cipher": "crypto", "device_key": "crypto", "encrypted": "image", "confidential": "swap", "aead": "crypto", "pipe": "transform",
    "sealed": "transform", "ctr": "transform", "delta": "transform",
}
# The C library of a freestanding core.
SYSTEM = {"stdint.h", "stddef.h", "stdbool.h", "string.h", "limits.h", "stdarg.h", "stdalign.h"}
# Third-party headers, and the modules that may know them.
THIRD_PARTY = [
    (re.compile(r"bearssl\w*\.h|p256-m\.h|p256m_joint\.h|monocypher\S*\.h|mbedtls/\S*"), {"crypto", "transform"}),
    (re.compile(r"zcbor_\w+\.h"), {"smp"}),
]
FORBIDDEN = re.compile(r"\b(malloc|calloc|realloc|free|alloca|printf|fprintf|sprintf|snprintf|puts|abort|exit)\s*\(")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
CONDITION = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif|else)\b\s*(.*)")
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)


def module_of(header, own):
    """The module of an included path, or None for one that isn't the core's."""
    parts = header.split("/")
    if parts[0] == "kedge" and len(parts) == 2:
        name = parts[1].removesuffix(".h")
        while name not in ALLOWED and name not in HEADERS and "_" in name:
            name = name.rsplit("_", 1)[0]
        return name if name in ALLOWED else HEADERS.get(name)
    if len(parts) == 2 and parts[0] in ALLOWED:
        return parts[0]
    return own if len(parts) == 1 else None


def without_comments(text):
    """Comments go, their lines stay, strings become empty (but an include keeps its name)."""
    def blank(found):
        if found[0][0] == '"':
            before = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
            return found[0] if "include" in before else '""'
        return "\n" * found[0].count("\n") or " "

    return COMMENT.sub(blank, text)


def check_file(root, path):
    name = path.relative_to(root).as_posix()
    public = name.startswith("include/")
    own = module_of("kedge/" + path.name, None) if public else path.parts[len(root.parts) + 1]
    if own not in ALLOWED:
        yield f"{name}:1: of no module that tools/checks/layers.py knows; add it to its table"
        return
    words = HANDLERS_ALLOWED if HANDLERS.search(name) else CLIENT_ALLOWED if CLIENT.search(name) else ALLOWED[own]
    allowed = set(words.split()) | {own}
    guard = None
    for number, line in enumerate(without_comments(path.read_text()).split("\n"), 1):
        at = f"{name}:{number}:"
        if condition := CONDITION.match(line):
            if path.suffix == ".h" and guard is None and condition[1] == "ifndef":
                guard = condition[2].strip()
                wanted = f"{path.stem.upper()}_H"
                if not guard.endswith(wanted):
                    yield f"{at} the include guard {guard} does not end in {wanted}"
            else:
                yield f"{at} #{condition[1]} in the core; variation is data, or belongs in ports/"
        if include := INCLUDE.match(line):
            yield from check_include(at, include[1], include[2], own, allowed)
        if called := FORBIDDEN.search(line):
            yield f"{at} {called[1]}() in the core, which has no heap, no output, no system"


def check_include(at, quote, header, own, allowed):
    for pattern, modules in THIRD_PARTY:
        if pattern.fullmatch(header):
            if own not in modules:
                yield f"{at} {header} is for {' and '.join(sorted(modules))}, not for {own}"
            return
    if quote == "<":
        if header not in SYSTEM:
            yield f"{at} <{header}> is not in a freestanding core"
        return
    module = module_of(header, own)
    if module is None:
        yield f"{at} {header} belongs to no module of the core"
    elif module not in allowed:
        yield f"{at} {own} includes {header}, which is {module}; it may include: {' '.join(sorted(allowed))}"


def check_objects(archive):
    """No symbol in .data or .bss, and no function that can reach itself."""
    listing = subprocess.run(["objdump", "-t", archive], capture_output=True, text=True, check=True).stdout
    unit = ""
    for line in listing.splitlines():
        if start := re.match(r"(\S+\.o(?:bj)?):\s+file format", line):
            unit = start[1]
        found = re.search(r" O (\S+)\t[0-9a-f]+ (?:\.hidden )?(\S+)$", line)
        # Constant tables with addresses in them lie in .data.rel.ro when code is position-independent.
        if found and re.match(r"\.(data(?!\.rel\.ro)|bss)|\*COM\*", found[1]):
            yield f"{unit}: {found[2]} is mutable static data"
    yield from check_recursion(archive)


def check_recursion(archive):
    """Direct calls only: an ops table's calls go down by design."""
    text = subprocess.run(["objdump", "-dr", "--no-show-raw-insn", archive], capture_output=True, text=True, check=True)
    calls, function, unit = {}, None, ""
    for line in text.stdout.splitlines():
        if start := re.match(r"(\S+\.o(?:bj)?):\s+file format", line):
            unit = start[1]
        elif start := re.match(r"[0-9a-f]+ <([^>]+)>:", line):
            function = start[1].split(".")[0]
            calls.setdefault(function, set())
        elif function:
            called = re.search(r"\b(?:call|bl|jmp)\S*\s+[0-9a-f]+ <([\w.]+)>", line)
            linked = re.search(r"R_X86_64_(?:PLT32|PC32)\s+([a-z_]\w*)", line)
            if linked:
                calls[function].add(linked[1])
            elif called and re.search(r"\b(call|bl)", line):
                calls[function].add(called[1].split(".")[0])
    # A call with a relocation shows its own next instruction as the target: those are not calls.
    return walk(calls)


def walk(calls):
    done, findings = set(), []
    for start in calls:
        path, stack = [], [(start, iter(sorted(calls[start])))]
        if start in done:
            continue
        path.append(start)
        while stack:
            function, rest = stack[-1]
            callee = next((c for c in rest if c in calls and c not in done), None)
            if callee is None:
                done.add(function)
                stack.pop()
                path.pop()
            elif callee in path:
                findings.append("recursion: " + " -> ".join(path[path.index(callee) :] + [callee]))
            else:
                path.append(callee)
                stack.append((callee, iter(sorted(calls[callee]))))
    return findings


def check(root, archive=None):
    root = pathlib.Path(root).resolve()
    files = sorted(root.glob("src/*/*.[ch]")) + sorted(root.glob("include/kedge/*.h"))
    findings = [finding for path in files for finding in check_file(root, path)]
    if archive:
        findings += check_objects(archive)
    return files, findings


PLANTED = [  # file, text, what the finding must say
    ("src/flash/up.c", '#include "kedge/boot.h"\n', "flash includes kedge/boot.h"),
    ("src/smp/agent.c", '#include "kedge/agent.h"\n', "smp includes kedge/agent.h"),
    ("src/boot/smp.c", '#include "smp/parts.h"\n', "boot includes smp/parts.h"),
    ("src/base/os.c", "#include <unistd.h>\n", "not in a freestanding core"),
    ("src/swap/aes.c", "#include <bearssl_block.h>\n", "is for crypto"),
    ("src/base/choice.c", "#if CHOICE\n", "#if in the core"),
    ("include/kedge/flash.h", "#ifndef KEDGE_FLASH_H\n#ifdef FAST\n", "#ifdef in the core"),
    ("include/kedge/stranger.h", "", "of no module"),
    ("src/log/heap.c", "void *log_heap(void) { return malloc(1); }\n", "malloc() in the core"),
]
PLANTED_OBJECTS = [
    ("static int counter;\nint count(void) { return ++counter; }\n", "counter is mutable static data"),
    ("int table[2] = {1, 2};\n", "table is mutable static data"),
    ("int odd(int n);\nint even(int n) { return n == 0 || !odd(n - 1) + n; }\n"
     "int odd(int n) { return n != 0 && !even(n - 1) + n; }\n", "recursion: "),
]
GOOD = ("src/swap/good.c", '/* #if malloc( */\n#include "kedge/journal.h"\n#include "swap/parts.h"\n#include <string.h>\n'
        'static const char *const words[] = {"#if", "free(x)"};\nconst char *swap_word(int i) { return words[i]; }\n')


def self_test():
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for number, (name, text, expected) in enumerate(PLANTED + [GOOD + ("",)]):
            tree = root / str(number)
            (tree / name).parent.mkdir(parents=True)
            (tree / name).write_text(text)
            findings = check(tree)[1]
            if (expected and not any(expected in f for f in findings)) or (not expected and findings):
                missed.append(f"{name}: expected '{expected}', found {findings}")
        for number, (text, expected) in enumerate(PLANTED_OBJECTS + [(GOOD[1].split("\n", 4)[4], "")]):
            source, archive = root / f"{number}.c", root / f"{number}.a"
            source.write_text(text)
            subprocess.run(["gcc", "-c", "-O0", source, "-o", source.with_suffix(".o")], check=True)
            subprocess.run(["ar", "rcs", archive, source.with_suffix(".o")], check=True)
            findings = list(check_objects(archive))
            if (expected and not any(expected in f for f in findings)) or (not expected and findings):
                missed.append(f"object {number}: expected '{expected}', found {findings}")
    return missed


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--root", default=pathlib.Path(__file__).parents[2])
    options.add_argument("--objects", help="the built core, for what only objects show")
    options.add_argument("--self-test", action="store_true")
    chosen = options.parse_args()
    if chosen.self_test:
        findings, said = self_test(), f"{len(PLANTED + PLANTED_OBJECTS)} planted violations were found"
    else:
        files, findings = check(chosen.root, chosen.objects)
        said = f"{len(files)} files keep the rules"
    for finding in findings:
        print(finding, file=sys.stderr)
    print(f"layers: {said}" if not findings else f"layers: {len(findings)} violations")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
