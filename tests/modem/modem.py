#!/usr/bin/env python3
"""modem.py LINK [--faults SEED] [--rate N]: a cellular modem on a pty, LINK becomes a symbolic link to it.

It understands the commands of Quectel's modems that fetch a file over HTTP and read it back
(QHTTPURL, QHTTPGET, QHTTPGETEX, QHTTPREADFILE, QFOPEN, QFSEEK, QFREAD, QFCLOSE), and really asks the
server. With faults it does what modems on bad lines and bad days do: cuts data short, repeats some,
flips bits, stalls, refuses, tells news in between, starts anew, answers something else. --rate: bytes
a second on the serial line."""

import argparse
import os
import pathlib
import pty
import random
import re
import select
import time
import tty
import urllib.error
import urllib.request


class Modem:
    def __init__(self, link, seed=None, rate=0):
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.keep = slave  # else the pty is gone whenever nobody has it open
        self.link = pathlib.Path(link)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(slave))
        self.random = random.Random(seed) if seed is not None else None
        self.rate, self.faults, self.commands = rate, [], []
        self.start()

    def start(self):
        self.echo, self.url, self.body, self.files, self.open, self.next = True, b"", b"", {}, {}, 3000

    # ---- the line

    def send(self, data):
        if self.rate:
            time.sleep(len(data) / self.rate)
        while data:
            data = data[os.write(self.master, data):]

    def line(self, text):
        self.send(b"\r\n" + text.encode() + b"\r\n")

    def receive(self, size, seconds):
        """Exactly so many bytes, or fewer when they do not come."""
        data, end = b"", time.monotonic() + seconds
        while len(data) < size and (left := end - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                data += os.read(self.master, size - len(data))
        return data

    def serve(self):
        command = b""
        while True:
            byte = os.read(self.master, 1)
            if byte not in b"\r\n":
                command += byte
            elif command:
                if self.echo:
                    self.send(command + b"\r")
                self.commands.append(command.decode(errors="replace"))
                self.answer(self.commands[-1])
                command = b""

    def fault(self, kind, chance):
        hit = self.random is not None and self.random.random() < chance
        if hit:
            self.faults.append(kind)
        return hit

    # ---- commands

    def answer(self, command):
        if self.fault("news", 0.1):
            self.line('+QIURC: "pdpdeact",2')
        if command != "AT" and self.fault("refused", 0.01):
            return self.line("+CME ERROR: 703")
        if command != "AT" and self.fault("silent", 0.005):
            return None
        if self.fault("new start", 0.003):
            self.start()
            time.sleep(0.3)
            return self.line("RDY")
        for pattern, action in self.table:
            if match := re.fullmatch(pattern, command):
                return action(self, *match.groups())
        return self.line("ERROR")

    def ok(self, *_):
        self.line("OK")

    def set_echo(self, on):
        self.echo = on == "1"
        self.ok()

    def set_url(self, size, seconds):
        self.line("CONNECT")
        self.url = self.receive(int(size), int(seconds))
        self.line("OK" if len(self.url) == int(size) else "+CME ERROR: 714")

    def get(self, start=None, size=None):
        request = urllib.request.Request(self.url.decode(errors="replace"))
        if start is not None:
            request.add_header("Range", f"bytes={start}-{int(start) + int(size) - 1}")
        self.ok()
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                self.body, status = reply.read(), reply.status
        except urllib.error.HTTPError as error:
            self.body, status = error.read(), error.code
        except OSError:
            return self.line("+QHTTPGET: 702")
        if self.fault("other answer", 0.02):
            return self.line("+QHTTPGET: many,thanks")
        return self.line(f"+QHTTPGET: 0,{status},{len(self.body)}")

    def save(self, name):
        if name in self.open.values():
            return self.line("+CME ERROR: 426")
        self.files[name] = self.body
        self.ok()
        return self.line("+QHTTPREADFILE: 0")

    def open_files(self):
        for handle, name in self.open.items():
            self.line(f'+QFOPEN: "{name}",{handle},2')
        self.ok()

    def open_file(self, name):
        if name not in self.files or name in self.open.values():
            return self.line("+CME ERROR: 418")
        self.next += 1
        self.open[self.next], self.at = name, 0
        self.line(f"+QFOPEN: {self.next}")
        return self.ok()

    def seek(self, handle, at):
        if int(handle) not in self.open:
            return self.line("+CME ERROR: 413")
        self.at = int(at)
        return self.ok()

    def read(self, handle, size):
        if int(handle) not in self.open:
            return self.line("+CME ERROR: 413")
        data = self.files[self.open[int(handle)]][self.at:self.at + int(size)]
        self.at += len(data)
        self.send(f"\r\nCONNECT {len(data)}\r\n".encode())
        sent = bytearray(data)
        if sent and self.fault("cut short", 0.02):
            del sent[self.random.randrange(len(sent)):]
        if sent and self.fault("repeated", 0.02):
            at = self.random.randrange(len(sent))
            sent[at:at] = sent[at:at + 40]
        if sent and self.fault("changed", 0.02):
            sent[self.random.randrange(len(sent))] ^= 1 << self.random.randrange(8)
        self.send(bytes(sent[:len(sent) // 2]))
        if self.fault("stalled", 0.01):
            time.sleep(6)
        self.send(bytes(sent[len(sent) // 2:]))
        return self.ok()

    def close(self, handle):
        known = self.open.pop(int(handle), None)
        self.line("OK" if known else "+CME ERROR: 413")

    table = [(r"AT", ok), (r"ATE([01])", set_echo), (r'AT\+QHTTPCFG="contextid",1', ok), (r"AT\+QIACT=1", ok),
             (r"AT\+QHTTPURL=(\d+),(\d+)", set_url), (r"AT\+QHTTPGET=\d+", get),
             (r"AT\+QHTTPGETEX=\d+,(\d+),(\d+)", get), (r'AT\+QHTTPREADFILE="([^"]+)",\d+', save),
             (r"AT\+QFOPEN\?", open_files), (r'AT\+QFOPEN="([^"]+)",2', open_file),
             (r"AT\+QFSEEK=(\d+),(\d+),0", seek), (r"AT\+QFREAD=(\d+),(\d+)", read), (r"AT\+QFCLOSE=(\d+)", close)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("link")
    parser.add_argument("--faults", type=int)
    parser.add_argument("--rate", type=int, default=0)
    options = parser.parse_args()
    Modem(options.link, options.faults, options.rate).serve()
