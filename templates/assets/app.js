// Follows a running log and refreshes a page that waits. Everything can be read without it.
"use strict";
(() => {
  const log = document.querySelector("#log[data-events]");
  const waits = document.querySelector("[data-refresh]");
  if (log) follow(log);
  else if (waits) later(() => location.reload(), Number(waits.dataset.refresh));

  // Calls back after a while, and not before the page is seen.
  function later(then, millis) {
    setTimeout(() => {
      if (!document.hidden) return then();
      document.addEventListener("visibilitychange", then, { once: true });
    }, millis);
  }

  function follow(log) {
    let from = log.dataset.from;
    let line = log.children.length;
    let failures = 0;
    const first = document.querySelector("#state").textContent;
    const next = async () => {
      let wait = 1000;
      try {
        const answer = await fetch(`${log.dataset.events}?from=${from}`, { headers: { accept: "application/json" } });
        if (!answer.ok) throw new Error(String(answer.status));
        const event = await answer.json();
        failures = 0;
        add(event.lines);
        if (event.lines.length) wait = 250;
        from = event.next;
        const state = document.querySelector("#state");
        state.textContent = event.state;
        state.className = `pill ${event.class}`;
        if (event.done) {
          // The plan or the error is on the page now; keep the reader's place.
          if (event.state !== first) location.reload();
          return;
        }
      } catch {
        failures += 1;
        wait = Math.min(30000, 1000 * 2 ** failures);
      }
      later(next, wait);
    };
    const add = (lines) => {
      if (!lines.length) return;
      document.querySelector("#nolog")?.remove();
      const follows = log.scrollTop + log.clientHeight >= log.scrollHeight - 40;
      const fragment = document.createDocumentFragment();
      for (const html of lines) {
        line += 1;
        const row = document.createElement("div");
        row.className = "l";
        row.id = `L${line}`;
        const anchor = document.createElement("a");
        anchor.href = `#L${line}`;
        anchor.textContent = line;
        anchor.setAttribute("aria-label", `Line ${line}`);
        const text = document.createElement("span");
        // Made by the server of escaped text and spans of fixed classes only.
        text.innerHTML = html;
        row.append(anchor, text);
        fragment.append(row);
      }
      log.append(fragment);
      if (follows) log.scrollTop = log.scrollHeight;
    };
    later(next, 300);
  }
})();
