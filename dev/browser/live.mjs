// Follows the first run of a server while it runs: its log grows on the page, and at the end the plan is there,
// without anyone touching the page.
//
//   node dev/browser/live.mjs http://127.0.0.1:8080 [SCREENSHOT]
//
// Start it before the server has a run, on one whose plans take a few seconds.
import { chromium } from "playwright-core";

const [base, screenshot] = process.argv.slice(2);
if (!base) {
  console.error("usage: node dev/browser/live.mjs http://127.0.0.1:8080 [SCREENSHOT]");
  process.exit(2);
}
const bound = 60_000;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"],
});
const page = await browser.newPage();
const errors = [];
page.on("pageerror", (error) => errors.push(`script: ${error.message}`));

// The run is there at some point after the webhook.
const end = Date.now() + bound;
while ((await page.goto(`${base}/r/1`)).status() !== 200) {
  if (Date.now() > end) errors.push("no run in a minute") && (await finish());
  await page.waitForTimeout(100);
}
let loads = 0;
page.on("load", () => (loads += 1));
const said = [];
const note = async (what, condition) => {
  try {
    await page.waitForFunction(condition, null, { timeout: bound });
    said.push(`${what}: ${(await page.locator("#state").innerText()).trim()}, loads ${loads}`);
  } catch (error) {
    errors.push(`${what}: ${error.message}`);
  }
};
await note("first line", () => document.querySelectorAll("#log .l").length > 0);
if (screenshot) await page.screenshot({ path: screenshot });
await note("later line", () => document.querySelector("#log")?.innerText.includes("the slow part begins"));
const before = loads;
await note("plan", () => document.querySelector(".diff") !== null);
if (before !== 0) errors.push(`the page was loaded anew while its log grew (${before} times)`);
if (loads !== 1) errors.push(`loaded anew ${loads} times, not once, when the plan came`);
await finish();

async function finish() {
  await browser.close();
  for (const line of [...said, ...errors]) console.log(line);
  console.log(`a run followed: ${errors.length} failures`);
  process.exit(errors.length === 0 ? 0 : 1);
}
