#!/usr/bin/env python3
"""corpus.py OUT: builds the firmware pairs that patches are measured on, and takes the genuine ones out
of detools' source package. Prints a line per pair: NAME OLD NEW OLD_BASE NEW_BASE RAM_BASE RAM_SIZE.

The firmware is Mbed TLS 3.6.6, lwIP 2.2.1, littlefs 2.9, TinyCBOR 0.6.1 and newlib for a Cortex-M4,
all of it; each pair changes one thing (shared/DELTA.md). Sources are pinned in tools/setup."""
import os
import pathlib
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
DEPS = pathlib.Path(os.environ.get("KEDGE_DEPS", pathlib.Path.home() / ".cache/kedge"))
TREES = {name: pathlib.Path(os.environ.get(f"{name.upper()}_ROOT", DEPS / folder)) for name, folder in (
    ("mbedtls", "mbedtls-3.6.6"), ("lwip", "lwip-2.2.1"), ("tinycbor", "tinycbor-0.6.1"),
    ("littlefs", "littlefs-2.9"), ("littlefs22", "littlefs-2.2"))}
DETOOLS = DEPS / "archives" / "detools-0.53.0.tar.gz"
CC = ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-std=gnu11", "-w", "-ffunction-sections"]
BASE, RAM, RAM_SIZE = 0xC200, 0x20000000, 0x40000


class Build:
    """One variant of the firmware; objects are kept by their command, so variants share them."""

    def __init__(self, out):
        self.out = out
        (out / "objects").mkdir(parents=True, exist_ok=True)

    def compile(self, source, *options):
        import hashlib
        words = [*CC, *map(str, options), "-I", HERE / "firmware", "-c", source]
        text = pathlib.Path(source).read_bytes() + repr([str(w) for w in words]).encode()
        target = self.out / "objects" / f"{hashlib.sha256(text).hexdigest()[:24]}.o"
        if not target.exists():
            scratch = target.with_suffix(f".{os.getpid()}")
            subprocess.run([*map(str, words), "-o", scratch], check=True)
            scratch.rename(target)
        return target

    def firmware(self, name, level="-Os", version="1.4.0", littlefs="littlefs", fixed=False, feature=False):
        t = TREES
        tls = ["-I", t["mbedtls"] / "include", "-I", t["mbedtls"] / "library",
               '-DMBEDTLS_USER_CONFIG_FILE="mbedtls_user.h"', "-DMBEDTLS_ENTROPY_HARDWARE_ALT"]
        net = ["-I", t["lwip"] / "src/include"]
        files = ["-I", t[littlefs], "-DLFS_NO_ASSERT", "-DLFS_NO_DEBUG", "-DLFS_NO_WARN", "-DLFS_NO_ERROR"]
        cbor = ["-I", t["tinycbor"] / "src"]
        tcp = t["lwip"] / "src/core/tcp_in.c"
        if fixed:  # one more condition, in the middle of the image
            tcp = self.out / "tcp_in.c"
            text = (t["lwip"] / "src/core/tcp_in.c").read_text()
            line = "  if (p->len < TCP_HLEN) {"
            assert text.count(line) == 1
            tcp.write_text(text.replace(line, "  if (p->len < TCP_HLEN || p->ref == 0) {"))
        units = [(HERE / "firmware/main.c", [f'-DVERSION="{version}"', *tls, *net, *files, *cbor])]
        units += [(f, tls) for f in sorted((t["mbedtls"] / "library").glob("*.c"))]
        units += [(f, cbor) for f in sorted((t["tinycbor"] / "src").glob("cbor*.c"))
                  if f.name not in ("cborparser_dup_string.c",) and "json" not in f.name and "open" not in f.name]
        if feature:
            units.append((HERE / "firmware/feature.c", files))
        core = t["lwip"] / "src"
        for f in sorted([*core.glob("core/*.c"), *core.glob("core/ipv4/*.c"), *core.glob("core/ipv6/*.c"),
                         core / "netif/ethernet.c"]):
            units.append((tcp if f.name == "tcp_in.c" else f, [*net, "-I", core / "core"]))
        units += [(t[littlefs] / f, files) for f in ("lfs.c", "lfs_util.c")]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(lambda u: self.compile(u[0], level, *u[1]), units))
        elf, image = self.out / f"{name}.elf", self.out / f"{name}.bin"
        subprocess.run([*CC, "-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs", "-u", "_printf_float",
                        f"-Wl,-T,{HERE / 'firmware/firmware.ld'}", "-Wl,--no-warn-rwx-segments", *map(str, objects),
                        "-lm", "-o", elf], check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", elf, image], check=True)
        return image


def genuine(out):
    """Firmware that others have shipped or built: detools' own test files."""
    prefix = "detools-0.53.0/tests/files/"
    names = [f"pybv11/{v}/firmware1.bin" for v in ("1f5d945af", "1f5d945af-dirty", "v1.10")]
    names += [f"synthesizer/{n}.bin" for n in (1, 2, 3)] + [f"shell-pi-3/{n}.bin" for n in (1, 2)]
    names += [f"micropython/esp8266-{v}.bin" for v in ("20180511-v1.9.4", "20190125-v1.10")]
    with tarfile.open(DETOOLS) as archive:
        for name in names:
            target = out / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.extractfile(prefix + name).read())
    return [("mpy-minor", "pybv11/1f5d945af/firmware1.bin", "pybv11/1f5d945af-dirty/firmware1.bin", 0x08020000,
             0x20000000, 0x20000),
            ("mpy-v1.10", "pybv11/v1.10/firmware1.bin", "pybv11/1f5d945af/firmware1.bin", 0x08020000, 0x20000000,
             0x20000),
            ("synthesizer-1-2", "synthesizer/1.bin", "synthesizer/2.bin", 0x80000, 0x20070000, 0x18000),
            ("synthesizer-1-3", "synthesizer/1.bin", "synthesizer/3.bin", 0x80000, 0x20070000, 0x18000),
            ("esp8266", "micropython/esp8266-20180511-v1.9.4.bin", "micropython/esp8266-20190125-v1.10.bin",
             0x40200000, 0x3FFE8000, 0x18000),
            ("shell-pi-3", "shell-pi-3/1.bin", "shell-pi-3/2.bin", 0x80000, 0x20000000, 0)]


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    build = Build(out)
    base = build.firmware("base")
    for name, variant in (("version", dict(version="1.4.1")), ("one-line", dict(fixed=True)),
                          ("feature", dict(feature=True)), ("Os-to-O2", dict(level="-O2"))):
        print(name, base, build.firmware(name, **variant), BASE, BASE, RAM, RAM_SIZE)
    older = build.firmware("older", littlefs="littlefs22")
    print("library", older, base, BASE, BASE, RAM, RAM_SIZE)
    for name, old, new, address, ram, size in genuine(out):
        print(name, out / old, out / new, address, address, ram, size)
    for name, new in (("plain-base", base), ("plain-mpy", out / "pybv11/v1.10/firmware1.bin")):
        print(name, "-", new, 0, 0, 0, 0)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
