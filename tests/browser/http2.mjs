// Uses the page of `axum_server`, whose WebSocket goes over HTTP/1.1 or HTTP/2.
//
//   node http2.mjs DEVTOOLS_PORT URL VERSION [URL VERSION..]
//
// One line a check; exits with 1 at the first failure. tests/browser/run.sh starts everything it needs.
import { Page } from "./page.mjs";

const [port, ...servers] = process.argv.slice(2);
const last = `document.getElementById("echoes").lastElementChild?.textContent`;

try {
  for (let at = 0; at < servers.length; at += 2) {
    const [url, version] = servers.slice(at, at + 2);
    const page = await Page.open(port, url);
    await page.until(last, `over ${version}`);
    await page.type("text", "Grüße, 鮭 🐟");
    await page.click("send");
    await page.until(last, "Grüße, 鮭 🐟");
    // More than the windows of HTTP/2, both ways.
    await page.evaluate(`socket.send("x".repeat(1 << 20))`);
    await page.until(`${last}.length`, 1 << 20);
    await page.evaluate(`socket.close(1000)`);
    await page.until(last, "closed with 1000");
    if (page.errors.length) throw new Error(page.errors.join("\n"));
    console.log(`  ok      ${new URL(url).protocol} over ${version}`);
  }
  process.exit(0);
} catch (error) {
  console.log(`  FAILED  ${error.message}`);
  process.exit(1);
}
