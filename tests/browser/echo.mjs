// Drives headless Chromium over its DevTools protocol through the echo page.
//
//   node echo.mjs DEVTOOLS_PORT PAGE_URL SERVER_PID SCREENSHOT_FOLDER
//
// One line a check; exits with 1 at the first failure. tests/browser/run.sh starts everything it needs.
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { once } from "node:events";

// The `ws` of tests/interop: the one dependency of both.
const WebSocket = createRequire(new URL("../interop/package.json", import.meta.url))("ws");

const [port, url, server, shots] = process.argv.slice(2);
const PATIENCE = 15_000;

class Page {
  static async open(port, url) {
    const made = await fetch(`http://127.0.0.1:${port}/json/new?about:blank`, { method: "PUT" });
    const page = new Page();
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
    mkdirSync(shots, { recursive: true });
    writeFileSync(`${shots}/${name}.png`, (await this.call("Page.captureScreenshot")).data, "base64");
  }

  state(expected) {
    return this.until(`document.getElementById("state").value`, expected);
  }

  // The last line of the log that came from the server.
  async echo(kind, size, content) {
    const cells = ["kind", "size", "content"].map((name) => `line.querySelector(".${name}").textContent`);
    await this.until(
      `(() => {
        const line = [...document.querySelectorAll('#log [data-direction="received"]')].at(-1);
        return line ? [${cells}, line.dataset.same].join(" | ") : "";
      })()`,
      [kind, size, content, "true"].join(" | "),
    );
  }

  lines(direction, expected) {
    return this.until(`document.querySelectorAll('#log [data-direction="${direction}"]').length`, expected);
  }
}

async function check(name, run) {
  await run();
  console.log(`  ok      ${name}`);
}

let page;
try {
  await check("the page loads", async () => (page = await Page.open(port, url)));
  await check("its URL field names this server", () =>
    page.until(`document.getElementById("url").value`, url.replace("http", "ws")));
  await check("it connects", async () => {
    await page.click("connect");
    await page.state("open");
  });
  await check("text comes back", async () => {
    await page.type("message", "Grüße, 鮭 🐟");
    await page.click("send-text");
    await page.echo("text", "17 B", "Grüße, 鮭 🐟");
  });
  await check("empty text comes back", async () => {
    await page.evaluate(`document.getElementById("message").value = ""`);
    await page.click("send-text");
    await page.echo("text", "0 B", "");
  });
  await check("binary comes back", async () => {
    await page.type("message", "Az");
    await page.click("send-binary");
    await page.echo("binary", "2 B", "41 7a");
  });
  await check("random bytes of three lengths come back", async () => {
    for (const [index, size] of [125, 65536, 1000000].entries()) {
      await page.type("random-size", String(size));
      await page.click("send-random");
      await page.lines("received", 4 + index);
    }
    await page.until(`document.querySelectorAll('#log [data-same="true"]').length`, 6);
  });
  await page.screenshot("open");
  await check("it closes cleanly with 1000", async () => {
    await page.click("disconnect");
    await page.state("closed · code 1000, clean");
  });
  await check("it connects again", async () => {
    await page.click("connect");
    await page.state("open");
  });
  await check("the server's end is a clean close with 1001", async () => {
    process.kill(Number(server), "SIGINT");
    await page.until(`document.getElementById("state").dataset.state`, "closed");
    await page.until(`document.getElementById("state").dataset.code`, "1001");
    await page.until(`document.getElementById("state").dataset.clean`, "true");
  });
  await page.screenshot("closed");
  await page.call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: "dark" }] });
  await page.screenshot("closed-dark");
  await check("the page had no errors", () => {
    if (page.errors.length) throw new Error(page.errors.join("; "));
  });
  process.exit(0);
} catch (error) {
  console.log(`  FAILED  ${error.message}`);
  await page?.screenshot("failed").catch(() => {});
  process.exit(1);
}
