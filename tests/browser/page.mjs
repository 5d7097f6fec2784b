// A page in headless Chromium, driven over the DevTools protocol.
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

// The `ws` of tests/interop: the one dependency of both.
const WebSocket = createRequire(new URL("../interop/package.json", import.meta.url))("ws");
const PATIENCE = 15_000;

export class Page {
  static async open(port, url) {
    const made = await fetch(`http://127.0.0.1:${port}/json/new?about:blank`, { method: "PUT" });
    const page = new this();
    page.calls = new Map();
    page.errors = [];
    page.devtools = new WebSocket((await made.json()).webSocketDebuggerUrl, { maxPayload: 0 });
    page.devtools.on("message", (data) => page.answered(JSON.parse(data)));
    await once(page.devtools, "open");
    await page.call("Page.enable");
    await page.call("Runtime.enable");
    await page.call("Log.enable");
    await page.call("Emulation.setDeviceMetricsOverride", { width: 1100, height: 760, deviceScaleFactor: 1, mobile: false });
    const { errorText } = await page.call("Page.navigate", { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
    await page.until("document.readyState === 'complete' && location.href", url);
    return page;
  }

  answered({ id, result, error, method, params }) {
    if (method === "Runtime.exceptionThrown") this.errors.push(params.exceptionDetails.text);
    if (method === "Log.entryAdded" && params.entry.level === "error") this.errors.push(params.entry.text);
    const call = this.calls.get(id);
    this.calls.delete(id);
    if (error) call?.reject(new Error(error.message));
    else call?.resolve(result);
  }

  call(method, params = {}) {
    const id = (this.last = (this.last ?? 0) + 1);
    return new Promise((resolve, reject) => {
      this.calls.set(id, { resolve, reject });
      this.devtools.send(JSON.stringify({ id, method, params }));
    });
  }

  async evaluate(expression) {
    const { result, exceptionDetails } = await this.call("Runtime.evaluate", { expression, returnByValue: true });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception.description}`);
    return result.value;
  }

  async until(expression, expected) {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const value = await this.evaluate(expression);
      if (value === expected) return;
      if (Date.now() > deadline) throw new Error(`${expression} is ${JSON.stringify(value)}, not ${JSON.stringify(expected)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  // A press and a release of the mouse in the middle of the element, as a user would.
  async click(id) {
    const at = await this.evaluate(`(() => {
      const element = document.getElementById("${id}");
      if (element.disabled) return null;
      element.scrollIntoView({ block: "nearest" });
      const box = element.getBoundingClientRect();
      return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    })()`);
    if (!at) throw new Error(`#${id} is disabled`);
    for (const type of ["mousePressed", "mouseReleased"]) {
      await this.call("Input.dispatchMouseEvent", { type, ...at, button: "left", clickCount: 1 });
    }
  }

  async type(id, text) {
    await this.evaluate(`document.getElementById("${id}").select()`);
    await this.call("Input.insertText", { text });
  }

  async screenshot(name) {
    const folder = new URL("screenshots/", import.meta.url);
    mkdirSync(folder, { recursive: true });
    writeFileSync(new URL(`${name}.png`, folder), (await this.call("Page.captureScreenshot")).data, "base64");
  }
}
