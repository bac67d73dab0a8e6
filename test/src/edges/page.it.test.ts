/**
 * The page for people, in a real browser: it shows the imported totals, its arithmetic adds up, foreign text stays text, and none of
 * it needs a script.
 */
import { createClient } from "@rerate/client";
import { formatAmount, parseAmount } from "@rerate/money";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runStart, startProcess, type StartedProcess } from "./started-process.ts";

const CHROMIUM = "/usr/bin/chromium";
const QUIET = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const PICTURES = join(tmpdir(), "edges");
const HOSTILE = `<img src=x onerror="document.title='taken'">"'&amp;`;

let directory: string;
let serving: StartedProcess;
let browser: Browser;
let url: string;

beforeAll(async () => {
  mkdirSync(PICTURES, { recursive: true });
  directory = mkdtempSync(join(tmpdir(), "rerate-page-"));
  const imported = await runStart(["--exit", "--json"], { RERATE_DATA: directory, RERATE_PORT: "0" });
  if (imported.code !== 0) throw new Error(imported.out + imported.err);
  serving = startProcess([], { RERATE_DATA: directory, RERATE_PORT: "0" });
  await serving.says("Ctrl-C stops");
  url = /Rerate serves (\S+)/.exec(serving.out())?.[1] ?? "";
  browser = await chromium.launch({ executablePath: CHROMIUM, args: QUIET });
});

afterAll(async () => {
  await browser?.close();
  serving.signal("SIGINT");
  await serving.finished;
  rmSync(directory, { recursive: true });
});

/** Opens a page, does something on it, and fails for whatever the browser complains about. */
async function onPage(path: string, look: (page: Page) => Promise<void>, options: BrowserContextOptions = {}): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(`${url}${path}`);
  await look(page);
  expect(complaints).toEqual([]);
  await context.close();
}

/** An amount as the page shows it. */
const atomsIn = (text: string): bigint =>
  parseAmount(
    text
      .replaceAll("\u2212", "-")
      .replaceAll(",", "")
      .replace(/[A-Za-z\s]/g, ""),
  );

test("shows the imported totals, and the accounts that sum to them", async () => {
  await onPage("/", async (page) => {
    const body = await page.innerText("main");
    expect(body).toContain("19,174.09865");
    expect(await page.title()).toBe("Rerate");
    const { accounts } = await createClient({ url }).totals({ limit: 1000 });
    const rows = await page
      .locator("table tbody tr")
      .evaluateAll((found) => found.map((row) => [...row.querySelectorAll("td")].map((cell) => cell.textContent?.trim() ?? "")));
    const shown = new Map(rows.map((cells) => [cells[0] ?? "", atomsIn(cells.at(-1) ?? "")]));
    for (const [name, net] of shown) {
      const units = accounts.find(({ account }) => account === name)?.units ?? [];
      expect([name, net]).toEqual([name, parseAmount(units[0]?.net ?? "0")]);
    }
    expect(shown.size).toBe(50);
    const sum = (prefix: string) =>
      accounts
        .filter(({ account }) => account.startsWith(prefix))
        .reduce((total, { units }) => total + units.reduce((net, unit) => net + parseAmount(unit.net), 0n), 0n);
    expect(formatAmount(sum("azure-"))).toBe("346.27865");
    expect(formatAmount(sum("agents-"))).toBe("18827.82");
    await page.screenshot({ path: join(PICTURES, "page.png"), fullPage: false });
  });
});

/** A decimal of at most nine places, times 10⁹. */
const nano = (text: string): bigint => parseAmount(text.replaceAll(",", ""));

test("an entry of the trace unfolds into arithmetic that adds up", async () => {
  await onPage("/?account=azure-01", async (page) => {
    const entries = page.locator("#entries details");
    expect(await entries.count()).toBe(25);
    expect(await entries.first().locator("ol").isVisible()).toBe(false);
    await entries.first().locator("summary").click();
    expect(await entries.first().locator("ol").isVisible()).toBe(true);
    await page.screenshot({ path: join(PICTURES, "account.png") });
    const { entries: read } = await createClient({ url }).entries("azure-01", { limit: 25, order: "newest" });
    for (let index = 0; index < 25; index += 1) {
      const entry = entries.nth(index);
      const lines = (await entry.locator("li").allTextContents()).map((line) => line.trim());
      // Quantity × price per token = amount, line by line.
      const products = lines.flatMap((line) => {
        const match = /^(\d+) \w+ × ([\d.]+) USD = ([\d.]+) USD$/.exec(line);
        return match === null
          ? []
          : [{ quantity: BigInt(match[1] ?? ""), price: nano(match[2] ?? ""), amount: nano(match[3] ?? "") }];
      });
      expect(products.length).toBeGreaterThan(0);
      for (const { quantity, price, amount } of products) expect(quantity * price).toBe(amount);
      const charged = products.reduce((sum, { amount }) => sum + amount, 0n);
      // The accumulator before, plus this entry, is the accumulator after.
      const sums = lines.flatMap((line) => /: ([\d.]+) \+ \(([\d.]+)\) = ([\d.]+) USD/.exec(line)?.slice(1, 4) ?? []).map(nano);
      expect(sums).toHaveLength(3);
      expect((sums[0] ?? 0n) + (sums[1] ?? 0n)).toBe(sums[2]);
      expect(sums[1]).toBe(charged);
      const booked = nano(/booked .*: ([\d.]+) USD$/.exec(lines.at(-1) ?? "")?.[1] ?? "");
      expect(booked).toBe(charged);
      expect(atomsIn((await entry.locator("summary b").textContent()) ?? "")).toBe(charged);
      expect(parseAmount(read[index]?.amount ?? "")).toBe(charged);
      // The usage that it names has these tokens.
      for (const { quantity } of products) expect(lines[0]).toContain(` ${quantity}`);
    }
  });
});

test("an entry of an outcome names its verdict and what it cost", async () => {
  await onPage("/", async (page) => {
    const entry = page.locator("#recent details").first();
    await entry.locator("summary").click();
    const text = await entry.innerText();
    expect(text).toMatch(/verdict 1 on agent-tasks .*: success/);
    expect(text).toMatch(/booked .*: 0\.99 USD/);
    const [, before, by, after] = /: (\d+) \+ \((\d+)\) = (\d+) outcomes/.exec(text) ?? [];
    expect(BigInt(before ?? "") + BigInt(by ?? "")).toBe(BigInt(after ?? ""));
  });
});

test("an invoice is shown whose lines and rounding make its total, and whose total the ledger agrees with", async () => {
  await onPage("/?account=azure-01", async (page) => {
    const table = page.locator("table").first();
    const lines = await table.locator("tbody tr td:last-child").allTextContents();
    const feet = Object.fromEntries(
      await table
        .locator("tfoot tr")
        .evaluateAll((rows) =>
          rows.map((row) => [row.firstElementChild?.textContent?.trim(), row.lastElementChild?.textContent?.trim()]),
        ),
    ) as Record<string, string>;
    const total = lines.reduce((sum, cell) => sum + atomsIn(cell), 0n) + atomsIn(feet["Rounding of the lines"] ?? "");
    expect(atomsIn(feet["Total"] ?? "")).toBe(total);
    expect(atomsIn(feet["Due"] ?? "")).toBe(total - atomsIn(feet["Paid by credits"] ?? ""));
    const invoice = await createClient({ url }).invoice("azure-01", "2023-11");
    expect(parseAmount(invoice.sections[0]?.due ?? "")).toBe(atomsIn(feet["Due"] ?? ""));
  });
});

test("foreign text stays text", async () => {
  const client = createClient({ url });
  await client.openAccount({ account: HOSTILE, currency: "USD", wallet: "</title><script>document.title='taken'</script>" });
  await client.assignPlan(HOSTILE, { planId: "chat-gpt-4o" });
  const data = { model: "gpt-4o", input_tokens: 100_000_000, output_tokens: 0, feature: "<b onmouseover=alert(1)>x</b>" };
  const id = "<script>document.title='taken'</script>";
  await client.sendUsage(
    { specversion: "1.0", type: "<i>t</i>", source: "'\"><svg onload=alert(1)>", id, subject: HOSTILE, data },
    { waitSeconds: 10 },
  );
  for (const path of ["/", `/?account=${encodeURIComponent(HOSTILE)}`]) {
    await onPage(path, async (page) => {
      await expect
        .poll(async () => page.reload().then(async () => page.innerText("body")), { timeout: 20_000 })
        .toContain(HOSTILE);
      expect(await page.locator("main script, main img, main svg, main b[onmouseover], main i").count()).toBe(0);
      expect(await page.title()).not.toBe("taken");
      const unfold = page.getByRole("button", { name: "unfold all" }).first();
      await unfold.click();
      expect(await page.innerText("body")).toContain(id);
      expect(await page.title()).not.toBe("taken");
    });
  }
  await onPage("/", async (page) => {
    await page.getByRole("link", { name: HOSTILE }).click();
    expect(await page.innerText("h2.title .id")).toBe(HOSTILE);
  });
});

test("without a script everything is there but the live counters", async () => {
  await onPage(
    "/",
    async (page) => {
      await page.getByRole("link", { name: "azure-01" }).click();
      const entry = page.locator("#entries details").first();
      await entry.locator("summary").click();
      expect(await entry.locator("ol").isVisible()).toBe(true);
      expect(await page.getByRole("button").count()).toBe(0);
      await page.getByRole("link", { name: "All accounts" }).click();
      expect(await page.innerText("main")).toContain("azure-01");
    },
    { javaScriptEnabled: false },
  );
});

test("the counters follow the ledger", async () => {
  await onPage("/", async (page) => {
    const counter = page.locator("[data-counter=facts]");
    const before = Number((await counter.innerText()).replaceAll(",", ""));
    const data = { model: "gpt-4o", input_tokens: 1, output_tokens: 1 };
    await createClient({ url }).sendUsage(
      { specversion: "1.0", type: "llm.completion", source: "page", id: "live", subject: "demo", data },
      { waitSeconds: 10 },
    );
    await expect.poll(async () => Number((await counter.innerText()).replaceAll(",", "")), { timeout: 15_000 }).toBe(before + 1);
  });
});

test("it is readable in the dark and on a phone, and nothing sticks out", async () => {
  await onPage(
    "/?account=azure-01",
    async (page) => {
      const [ink, paper] = await page.evaluate<string[]>(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]",
      );
      const light = (color = "") => (color.match(/\d+/g) ?? []).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);
      expect(light(ink)).toBeGreaterThan(600);
      expect(light(paper)).toBeLessThan(150);
      await page.screenshot({ path: join(PICTURES, "dark.png") });
    },
    { colorScheme: "dark" },
  );
  for (const path of ["/", "/?account=azure-01", `/?account=${encodeURIComponent(HOSTILE)}`]) {
    await onPage(
      path,
      async (page) => {
        expect(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")).toBe(true);
        await page.screenshot({ path: join(PICTURES, "phone.png") });
      },
      { viewport: { width: 390, height: 844 } },
    );
  }
});

test("an account that is not there is a 404, and so is a page that is not", async () => {
  expect((await fetch(`${url}/?account=nobody`)).status).toBe(404);
  expect((await fetch(`${url}/nothing`)).status).toBe(404);
});
