// Looks at every page that the dashboard leads to, in light, dark and on a phone.
//
//   npm install --prefix dev/browser
//   node dev/browser/pages.mjs http://127.0.0.1:8080 [DIRECTORY FOR SCREENSHOTS]
//
// Fails when a page logs an error, breaks its content security policy, asks another server for anything, is
// wider than a phone, loses the keyboard's focus, or cannot be read without JavaScript.
import { mkdir } from "node:fs/promises";
import { chromium } from "playwright-core";

const base = process.argv[2];
const folder = process.argv[3];
if (!base) {
  console.error("usage: node dev/browser/pages.mjs http://127.0.0.1:8080 [DIRECTORY FOR SCREENSHOTS]");
  process.exit(2);
}
if (folder) await mkdir(folder, { recursive: true });

const failures = [];
const fail = (where, what) => failures.push(`${where}: ${what}`);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"],
});

async function open(path, how, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const where = `${path} (${how})`;
  const expected = path === "/nothing-here" ? 404 : 200;
  page.on("console", (message) => {
    const benign = expected === 404 && message.text().includes("404");
    if (message.type() === "error" && !benign) fail(where, `console: ${message.text()}`);
  });
  page.on("pageerror", (error) => fail(where, `script: ${error.message}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(`${base}/`)) fail(where, `asks ${request.url()}`);
  });
  const answer = await page.goto(base + path, { waitUntil: "load" });
  if (answer.status() !== expected) fail(where, `status ${answer.status()}`);
  return { context, page, where };
}

// Every page once, found as a reader finds it.
const first = await open("/", "links", {});
const links = await first.page.$$eval("a[href]", (all) => all.map((a) => a.getAttribute("href")));
await first.context.close();
const kinds = new Map();
for (const link of links.filter((link) => /^\/r\/\d+$|\/pull\/\d+$/.test(link))) {
  const kind = link.startsWith("/r/") ? "run" : "pull";
  kinds.set(kind, new Set([...(kinds.get(kind) ?? []), link]));
}
const paths = ["/", "/nothing-here", ...[...kinds.values()].flatMap((set) => [...set].slice(0, 6))];

const looks = {
  light: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light", isMobile: true, hasTouch: true },
  "no script": { viewport: { width: 1280, height: 900 }, javaScriptEnabled: false },
};
for (const path of paths) {
  for (const [how, options] of Object.entries(looks)) {
    const { context, page, where } = await open(path, how, options);
    const text = async (what) => (await page.locator(what).allInnerTexts()).join(" ").trim();
    if ((await text("h1")) === "") fail(where, "no headline");
    if (how === "no script") {
      if ((await text("main")).length < 20) fail(where, "nothing to read");
    } else {
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (wide > 1) fail(where, `${wide} pixels too wide`);
      const hidden = await page.evaluate(() => {
        const side = document.querySelector(".side");
        return side.scrollWidth - side.clientWidth;
      });
      if (hidden > 0) fail(where, `${hidden} pixels of the navigation are out of sight`);
    }
    if (how === "light") await keyboard(page, where);
    if (folder) {
      const name = `${path.replaceAll("/", "-").replace(/^-/, "") || "dashboard"}-${how.replace(" ", "-")}.png`;
      await page.screenshot({ path: `${folder}/${name}`, fullPage: how !== "phone" });
    }
    await context.close();
  }
}

// Every stop of the tab key is on something that shows it.
async function keyboard(page, where) {
  for (let stop = 0; stop < 8; stop += 1) {
    await page.keyboard.press("Tab");
    const shown = await page.evaluate(() => {
      const at = document.activeElement;
      if (!at || at === document.body) return true;
      const style = getComputedStyle(at);
      return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    });
    if (!shown) fail(where, `stop ${stop + 1} of the tab key shows no focus`);
  }
}

await browser.close();
for (const failure of failures) console.error(failure);
console.log(`${paths.length} pages in ${Object.keys(looks).length} looks: ${failures.length} failures`);
process.exit(failures.length === 0 ? 0 : 1);
