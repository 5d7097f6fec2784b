// Uses the echo page as a user would.
//
//   node echo.mjs DEVTOOLS_PORT PAGE_URL SERVER_PID
//
// One line a check; exits with 1 at the first failure. tests/browser/run.sh starts everything it needs.
import { Page } from "./page.mjs";

const [port, url, server] = process.argv.slice(2);

class EchoPage extends Page {
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
  await check("the page loads", async () => (page = await EchoPage.open(port, url)));
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
