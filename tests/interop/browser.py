"""A page in headless Chromium, driven by the DevTools protocol over a pipe: no driver, no port."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time


class Page:
    """with Page(path, width=..., height=...) as page: page.js("1 + 1") == 2"""

    def __init__(self, path, width=1280, height=1400):
        self.url, self.size = path.resolve().as_uri(), (width, height)
        self.errors, self.requests, self.number, self.unread = [], [], 0, b""

    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="kedge-chromium-")
        commands, self.to = os.pipe()
        self.answers, answers = os.pipe()
        # The protocol's pipes are file descriptors 3 and 4.
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{commands} 4>&{answers}', "bash", "chromium", "--headless",
             "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--remote-debugging-pipe",
             f"--user-data-dir={self.profile}", "about:blank"],
            pass_fds=(commands, answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        os.close(commands)
        os.close(answers)
        try:
            self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _open(self):
        self.session = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.ask(f"{domain}.enable")
        self.ask("Emulation.setDeviceMetricsOverride", width=self.size[0], height=self.size[1],
                 deviceScaleFactor=1, mobile=False)
        self.loaded = False
        self.ask("Page.navigate", url=self.url)
        while not self.loaded:
            self._handle(self._receive())

    def __exit__(self, *_):
        os.close(self.to)
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
        os.close(self.answers)
        shutil.rmtree(self.profile, ignore_errors=True)

    def _receive(self, seconds=60):
        end = time.monotonic() + seconds
        while b"\0" not in self.unread:
            ready, _, _ = select.select([self.answers], [], [], max(0, end - time.monotonic()))
            assert ready, "Chromium does not answer"
            got = os.read(self.answers, 1 << 16)
            assert got, "Chromium ended"
            self.unread += got
        message, _, self.unread = self.unread.partition(b"\0")
        return json.loads(message)

    def _handle(self, message):
        method, facts = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Runtime.exceptionThrown":
            self.errors.append(facts["exceptionDetails"].get("exception", facts))
        elif method == "Network.requestWillBeSent":
            self.requests.append(facts["request"]["url"])

    def ask(self, method, **facts):
        self.number += 1
        request = {"id": self.number, "method": method, "params": facts}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.to, json.dumps(request).encode() + b"\0")
        while True:
            message = self._receive()
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]
            self._handle(message)

    def js(self, expression):
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def text(self, name):
        return self.js(f"document.getElementById({json.dumps(name)}).textContent")

    def number_in(self, name):
        return int(self.text(name).replace(",", ""))

    def key(self, key, code):
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                     windowsVirtualKeyCode=code)

    def drag(self, name, fraction):
        """Press the mouse on an element's left end, move to the fraction of its width, let go."""
        box = self.js(f"(({{x, y, width, height}}) => [x, y, width, height])"
                      f"(document.getElementById({json.dumps(name)}).getBoundingClientRect())")
        middle = box[1] + box[3] / 2
        for kind, x in (("mousePressed", 2), ("mouseMoved", box[2] * fraction),
                        ("mouseReleased", box[2] * fraction)):
            self.ask("Input.dispatchMouseEvent", type=kind, x=box[0] + x, y=middle, button="left",
                     buttons=1, clickCount=1)

    def screenshot(self, path):
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
