"use strict";
// Only what is in sight is drawn: a table of a thousand hosts has as many elements as one of fifty. Text reaches the page
// as text, never as markup.
(() => {
  const report = JSON.parse(document.getElementById("report").textContent);
  const STATES = ["would_change", "refused", "failed", "unreachable", "compliant", "answered", "not_there"];
  const WORDS = {
    would_change: ["would change", "the procedure would change something here"],
    refused: ["refused", "the procedure found a reason not to act here"],
    failed: ["failed", "something went wrong while reading"],
    unreachable: ["unreachable", "the host could not be talked to, or not in time"],
    compliant: ["compliant", "nothing to change"],
    answered: ["answered", "read; there is no goal to hold it against"],
    not_there: ["not there", "the host has not what this tells about"],
    none: ["", "not asked"],
  };
  const TO_DO = ["would_change", "refused", "failed", "unreachable"];
  const ABOVE_AND_BELOW = 12, GROUPS_AT_FIRST = 60, HOSTS_AT_FIRST = 40, ITEMS_AT_FIRST = 50;
  const ADDRESS = /\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b|\bport \d+\b/g;
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";

  // An element: its name with classes ("p.soft"), attributes (a function is a listener), and children or text.
  function make(name, attributes, ...children) {
    const [tag, ...classes] = name.split(".");
    const element = document.createElement(tag);
    if (classes.length) element.className = classes.join(" ");
    for (const [key, value] of Object.entries(attributes || {})) {
      if (typeof value === "function") element.addEventListener(key, value);
      else if (value !== undefined && value !== null) element.setAttribute(key, value);
    }
    element.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
    return element;
  }

  // A copy and no <use>, which costs a shadow tree each.
  function symbol(state) {
    const drawn = document.getElementById(state);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("class", `symbol ${state}`);
    svg.setAttribute("viewBox", drawn.getAttribute("viewBox"));
    svg.setAttribute("aria-hidden", "true");
    svg.append(...drawn.cloneNode(true).childNodes);
    return svg;
  }

  const plural = (count, one) => `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;
  const cell = (host, label) => (Object.hasOwn(host.procedures, label) ? host.procedures[label] : undefined);
  const stateOf = (host, label) => (cell(host, label) || { state: "none" }).state;
  const toDo = (host) => columns().filter((p) => TO_DO.includes(stateOf(host, p.label))).length;
  const wordOf = (state, refusal) => (state === "refused" && refusal ? `refused ${refusal}` : WORDS[state][0]);
  const byName = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  // What the user has chosen, and what follows from it.
  const chosen = { states: new Set(), text: "", procedure: "", order: "inventory", view: "matrix", open: null };
  let rows = report.hosts;
  let active = { row: 0, column: 0 };
  let drawn = { from: -1, to: -1 };
  let printing = false;
  let groupsShown = GROUPS_AT_FIRST;

  const columns = () => report.procedures.filter((p) => !chosen.procedure || p.label === chosen.procedure);
  const wanted = (state) => !chosen.states.size || chosen.states.has(state);

  function choose() {
    const labels = columns().map((p) => p.label);
    const text = chosen.text.toLowerCase();
    rows = report.hosts.filter((host) =>
      (!text || host.name.toLowerCase().includes(text))
      && (!chosen.procedure || cell(host, chosen.procedure))
      && (!chosen.states.size || labels.some((label) => cell(host, label) && wanted(stateOf(host, label)))));
    if (chosen.order === "name") rows = [...rows].sort((a, b) => byName.compare(a.name, b.name));
    if (chosen.order === "attention") {
      const weight = new Map(rows.map((host) => [host, toDo(host)]));
      rows = [...rows].sort((a, b) => weight.get(b) - weight.get(a));
    }
    active = { row: Math.min(active.row, Math.max(rows.length - 1, 0)), column: Math.min(active.column, labels.length - 1) };
    $("matrix").scrollTop = 0;
    groupsShown = GROUPS_AT_FIRST;
    draw();
  }

  function draw() {
    drawSummary();
    drawHead();
    drawRows(true);
    for (const view of ["matrix", "findings"]) {
      $(view).hidden = !printing && chosen.view !== view;
      $(`show-${view}`).setAttribute("aria-pressed", String(chosen.view === view));
    }
    if (printing || chosen.view === "findings") drawFindings();
    $("shown").textContent = `${rows.length.toLocaleString("en")} of ${plural(report.hosts.length, "host")}`;
  }

  function tally(hosts, procedures) {
    const counts = {};
    for (const host of hosts) {
      for (const { label } of procedures) {
        const state = stateOf(host, label);
        if (state !== "none") counts[state] = (counts[state] || 0) + 1;
      }
    }
    return counts;
  }

  function bar(element, counts) {
    element.replaceChildren(...STATES.filter((state) => counts[state]).map((state) => {
      const part = make(`i.${state}`, { title: `${counts[state]} ${WORDS[state][0]}` });
      part.style.flexGrow = counts[state];
      return part;
    }));
    return element;
  }

  function drawSummary() {
    const counts = tally(report.hosts, columns());
    const focused = document.activeElement && document.activeElement.dataset.state;
    $("summary").replaceChildren(...STATES.map((state) => make(`button.state-card.${state}`, {
      type: "button", title: WORDS[state][1], "aria-pressed": String(chosen.states.has(state)), "data-count": counts[state] || 0, "data-state": state,
      click: () => {
        if (!chosen.states.delete(state)) chosen.states.add(state);
        choose();
      },
    }, symbol(state), make("b", null, (counts[state] || 0).toLocaleString("en")), make("span", null, WORDS[state][0]))));
    if (focused) $("summary").querySelector(`[data-state=${focused}]`).focus();
    bar($("share"), counts);
  }

  // A name breaks after each of its parts.
  const breakable = (text) => text.split("_").flatMap((part, n) => (n ? ["_", make("wbr"), part] : [part]));

  function drawHead() {
    const shown = columns();
    document.querySelector("#matrix colgroup").replaceChildren(make("col.host"), ...shown.map(() => make("col")));
    document.querySelector("#matrix table").style.minWidth = `calc(var(--host) + ${shown.length} * var(--column))`;
    document.querySelector("#matrix table").setAttribute("aria-rowcount", rows.length + 1);
    document.querySelector("#matrix thead").replaceChildren(make("tr", null,
      make("th", { scope: "col" }, "Host"),
      ...shown.map((procedure) => make("th", { scope: "col" },
        printing
          ? make("span", null, ...breakable(procedure.label))
          : make("button", { type: "button", title: procedure.summary, click: () => openProcedure(procedure) }, ...breakable(procedure.label)),
        bar(make("div.share"), tally(rows, [procedure]))))));
  }

  const rowHeight = () => parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row"));

  function drawRows(always) {
    const matrix = $("matrix"), body = matrix.querySelector("tbody"), height = rowHeight();
    const first = Math.floor(matrix.scrollTop / height), count = Math.ceil((matrix.clientHeight || innerHeight) / height);
    const from = printing ? 0 : Math.max(0, Math.min(first, rows.length) - ABOVE_AND_BELOW);
    const to = printing ? rows.length : Math.min(rows.length, first + count + ABOVE_AND_BELOW);
    if (!always && from === drawn.from && to === drawn.to) return;
    const focused = body.contains(document.activeElement);
    drawn = { from, to };
    const shown = columns();
    const space = (lines) => {
      const line = make("tr.space", { "aria-hidden": "true" }, make("td", { colspan: shown.length + 1 }));
      line.style.height = `${lines * height}px`;
      return line;
    };
    if (!rows.length) {
      body.replaceChildren(make("tr.space", null, make("td", { colspan: shown.length + 1 }, make("div.empty", null, "No host is like that."))));
      return;
    }
    body.replaceChildren(...(from ? [space(from)] : []), ...rows.slice(from, to).map((host, n) => drawRow(host, from + n, shown)),
      ...(to < rows.length ? [space(rows.length - to)] : []));
    if (focused) focusActive();
  }

  function drawRow(host, row, shown) {
    return make("tr", { "aria-rowindex": row + 2 }, make("th", { scope: "row", title: host.name }, host.name),
      ...shown.map(({ label }, column) => printing
        ? printCell(host, label)
        : make("td", { role: "gridcell" }, drawCell(host, label, row, column))));
  }

  function drawCell(host, label, row, column) {
    const found = cell(host, label), state = stateOf(host, label);
    const word = wordOf(state, found && found.refusal);
    const open = chosen.open && chosen.open.host === host && chosen.open.label === label;
    const dim = found && !wanted(state) ? "none" : state;
    return make(`button.cell.${dim}`, {
      type: "button", tabindex: row === active.row && column === active.column ? 0 : -1, "data-row": row, "data-column": column,
      "aria-label": `${host.name}, ${label}: ${word || WORDS.none[1]}`, "aria-expanded": String(Boolean(open)),
      click: () => {
        active = { row, column };
        openCell(host, label);
      },
    }, symbol(state), make("span", null, word));
  }

  // Paper needs no buttons, and a thousand hosts have many cells.
  function printCell(host, label) {
    const found = cell(host, label), state = stateOf(host, label);
    return make(`td.${found && !wanted(state) ? "none" : state}`, null, symbol(state), wordOf(state, found && found.refusal));
  }

  function focusActive() {
    const button = $("matrix").querySelector(`[data-row="${active.row}"][data-column="${active.column}"]`);
    if (button) button.focus({ preventScroll: true });
  }

  function reveal() {
    const matrix = $("matrix"), height = rowHeight(), head = matrix.querySelector("thead").offsetHeight;
    const top = active.row * height, view = matrix.clientHeight - head;
    if (top < matrix.scrollTop) matrix.scrollTop = top;
    if (top + height > matrix.scrollTop + view) matrix.scrollTop = top + height - view;
    drawRows(true);
    const button = matrix.querySelector(`[data-row="${active.row}"][data-column="${active.column}"]`);
    if (!button) return;
    const left = button.parentElement.offsetLeft, fixed = matrix.querySelector("thead th").offsetWidth;
    if (left - fixed < matrix.scrollLeft) matrix.scrollLeft = left - fixed;
    const right = left + button.parentElement.offsetWidth;
    if (right > matrix.scrollLeft + matrix.clientWidth) matrix.scrollLeft = right - matrix.clientWidth;
    focusActive();
  }

  function move(event) {
    const last = { row: rows.length - 1, column: columns().length - 1 };
    const page = Math.max(1, Math.floor($("matrix").clientHeight / rowHeight()) - 2);
    const to = {
      ArrowUp: { row: active.row - 1 }, ArrowDown: { row: active.row + 1 },
      ArrowLeft: { column: active.column - 1 }, ArrowRight: { column: active.column + 1 },
      PageUp: { row: active.row - page }, PageDown: { row: active.row + page },
      Home: event.ctrlKey ? { row: 0, column: 0 } : { column: 0 },
      End: event.ctrlKey ? last : { column: last.column },
    }[event.key];
    if (!to || !event.target.closest(".cell")) return;
    event.preventDefault();
    const next = { ...active, ...to };
    active = { row: Math.max(0, Math.min(next.row, last.row)), column: Math.max(0, Math.min(next.column, last.column)) };
    reveal();
    if (chosen.open) openCell(rows[active.row], columns()[active.column].label);
  }

  // ---- details -------------------------------------------------------------------------------------------------------

  function openCell(host, label) {
    chosen.open = { host, label };
    history.replaceState(null, "", `#${encodeURIComponent(host.name)}/${encodeURIComponent(label)}`);
    const procedure = report.procedures.find((p) => p.label === label), found = cell(host, label), state = stateOf(host, label);
    show(make("div.top", null,
      make("div", null, make("h2", null, host.name), make("div.soft", null, label), badge(state, found && found.refusal)), closer()),
      ...(found ? findings(found, procedure) : [make("p", null, "The audit did not ask this host for this procedure.")]),
      ...rule(procedure));
    markOpen();
  }

  function openProcedure(procedure) {
    chosen.open = null;
    show(make("div.top", null, make("div", null, make("h2", null, procedure.label)), closer()),
      make("p", null,
        make("button.more", {
          type: "button",
          click: () => {
            chosen.procedure = $("procedure").value = chosen.procedure ? "" : procedure.label;
            choose();
          },
        }, chosen.procedure ? "Show all procedures" : "Show only this one")),
      ...rule(procedure));
    markOpen();
  }

  function badge(state, refusal) {
    return make(`div.badge.${state}`, null, symbol(state), wordOf(state, refusal) || WORDS.none[1]);
  }

  function closer() {
    return make("button.close", { type: "button", "aria-label": "Close", click: close }, "×");
  }

  function show(...content) {
    $("details").hidden = false;
    $("details").replaceChildren(...content);
    $("details").scrollTop = 0;
  }

  function close() {
    if ($("details").hidden) return;
    const inside = $("details").contains(document.activeElement);
    chosen.open = null;
    $("details").hidden = true;
    history.replaceState(null, "", "#");
    markOpen();
    if (inside) focusActive();
  }

  function markOpen() {
    for (const button of document.querySelectorAll(".cell[aria-expanded]")) {
      const host = rows[button.dataset.row], column = columns()[button.dataset.column];
      const open = chosen.open && chosen.open.host === host && chosen.open.label === column.label;
      button.setAttribute("aria-expanded", String(Boolean(open)));
    }
    drawRows(false);
  }

  const section = (title, ...content) => (content.flat().length ? [make("h3", null, title), ...content.flat()] : []);

  function findings(found, procedure) {
    const why = found.msg ? [make("p.message", null, found.msg)] : [];
    if (found.refusal) why.push(make("p.soft", null, `"When it refuses" in ${procedure.page} has a row for ${found.refusal}.`));
    return [
      ...section("Why", ...why),
      ...section("What would change", found.steps.length ? [make("ol", null, found.steps.map((step) => make("li", null, step)))] : []),
      ...(found.reboot_required ? [make("p", null, "It takes effect after a restart of the host.")] : []),
      ...section("Warnings", found.warnings.length ? [make("ul", null, found.warnings.map((text) => make("li", null, text)))] : []),
      ...(found.before ? section("Observed", comparison(found.before, found.after || {})) : []),
      ...(Object.keys(found.values).length ? section(found.before ? "More" : "Observed", table(found.values)) : []),
    ];
  }

  function rule(procedure) {
    return [
      ...section("The rule", make("p", null, procedure.summary, ".")),
      ...(Object.keys(procedure.arguments).length ? [make("p.soft", null, "The audit asked for:"), table(procedure.arguments)] : []),
      ...section("Its source", make("ul", null,
        make("li", null, make("code", null, procedure.page), " of ", report.collection.name),
        procedure.sources.map(({ name, link }) => make("li", null, make("a", { href: link, rel: "noreferrer", target: "_blank" }, name))))),
    ];
  }

  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

  function comparison(before, after) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    if (!names.some((name) => name in after && !same(before[name], after[name]))) return table(before);
    return make("table.values", null,
      make("thead", null, make("tr", null, make("th", { scope: "col" }, ""), make("th", { scope: "col" }, "is"), make("th", { scope: "col" }, "would be"))),
      make("tbody", null, names.map((name) => {
        const differs = name in after && !same(before[name], after[name]);
        return make("tr", null, make("th", { scope: "row" }, ...breakable(name)),
          make(differs ? "td.old" : "td", null, value(before[name])), make(differs ? "td.new" : "td", null, differs ? value(after[name]) : ""));
      })));
  }

  // What has parts of its own gets the whole width, below its name.
  const parts = (of) => of !== null && typeof of === "object"
    && (Array.isArray(of) ? of.some((item) => item !== null && typeof item === "object") : Object.keys(of).length > 0);

  function table(values) {
    return make("table.values", null, make("tbody", null, Object.entries(values).map(([name, inner]) => (parts(inner)
      ? [make("tr", null, make("th.over", { colspan: 2 }, ...breakable(name))), make("tr", null, make("td.under", { colspan: 2 }, value(inner)))]
      : make("tr", null, make("th", { scope: "row" }, ...breakable(name)), make("td", null, value(inner)))))));
  }

  function value(of) {
    if (of === null || of === undefined) return make("span.soft", null, "not set");
    if (typeof of === "boolean") return of ? "yes" : "no";
    if (typeof of !== "object") return String(of) === "" ? make("span.soft", null, "empty") : String(of);
    if (!Array.isArray(of)) return Object.keys(of).length ? table(of) : make("span.soft", null, "empty");
    if (!of.length) return make("span.soft", null, "none");
    const cut = of.slice(0, ITEMS_AT_FIRST), more = of.length - cut.length;
    const rest = more ? `… and ${more} more, in the JSON file` : null;
    if (cut.every((item) => item === null || typeof item !== "object")) return make("span", null, cut.join(", "), rest && ` ${rest}`);
    return make("div", null, cut.map((item) => value(item)), rest);
  }

  // ---- findings: what many hosts have in common, once ----------------------------------------------------------------

  function groups() {
    const found = new Map();
    for (const host of rows) {
      const dead = columns().every(({ label }) => ["none", "unreachable"].includes(stateOf(host, label)));
      for (const procedure of dead ? columns().filter(({ label }) => cell(host, label)).slice(0, 1) : columns()) {
        const entry = cell(host, procedure.label);
        if (!entry || !TO_DO.includes(entry.state) || !wanted(entry.state)) continue;
        const where = entry.state === "unreachable" ? "" : procedure.label;
        const texts = entry.state === "would_change" ? entry.steps : [entry.msg];
        const common = texts.map((text) => text.split(host.name).join("‹host›").replace(ADDRESS, "‹address›"));
        const key = JSON.stringify([entry.state, where, entry.refusal, common]);
        if (!found.has(key)) found.set(key, { state: entry.state, label: procedure.label, where, refusal: entry.refusal, texts, common, hosts: [] });
        found.get(key).hosts.push(host);
      }
    }
    return [...found.values()].sort((a, b) =>
      TO_DO.indexOf(a.state) - TO_DO.indexOf(b.state) || b.hosts.length - a.hosts.length || byName.compare(a.where, b.where));
  }

  function drawFindings() {
    const all = groups(), shown = printing ? all : all.slice(0, groupsShown);
    $("findings").replaceChildren(...shown.map(drawGroup),
      ...(all.length ? [] : [make("p.empty", null, "Nothing to do here.")]),
      ...(shown.length < all.length
        ? [make("button.more", { type: "button", click: () => { groupsShown += GROUPS_AT_FIRST; drawFindings(); } }, `Show more (${all.length - shown.length} left)`)]
        : []));
  }

  function drawGroup(group) {
    const texts = group.hosts.length > 1 ? group.common : group.texts;
    const word = wordOf(group.state, group.refusal);
    const link = (host) => printing ? make("span", null, host.name) : make("button", { type: "button", click: () => openCell(host, group.label) }, host.name);
    const hosts = make("div.hosts", null, group.hosts.slice(0, printing ? undefined : HOSTS_AT_FIRST).map(link));
    const more = group.hosts.length - hosts.children.length;
    if (more) {
      hosts.append(make("button", { type: "button", click: () => hosts.replaceChildren(...group.hosts.map(link)) }, `… ${more} more`));
    }
    return make(`article.finding.${group.state}`, null,
      make("h2", null, symbol(group.state), group.where ? `${group.where}: ${word}` : word, make("small", null, plural(group.hosts.length, "host"))),
      group.state === "would_change" ? make("ol", null, texts.map((step) => make("li", null, step))) : make("p.message", null, texts[0]), hosts);
  }

  // ---- the frame -----------------------------------------------------------------------------------------------------

  function openHash() {
    const parts = location.hash.slice(1).split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
    const host = report.hosts.find(({ name }) => name === parts[0]), label = parts[1];
    if (!host || !report.procedures.some((p) => p.label === label)) return;
    const row = rows.indexOf(host);
    if (row >= 0) active = { row, column: columns().findIndex((p) => p.label === label) };
    if (row >= 0) $("matrix").scrollTop = Math.max(0, (row - 5) * rowHeight());
    openCell(host, label);
    drawRows(true);
  }

  function print(now) {
    printing = now;
    draw();
  }

  const checks = Object.values(report.counts).reduce((sum, count) => sum + count, 0);
  $("title").textContent = report.title;
  $("subtitle").textContent = [
    plural(report.hosts.length, "host"), plural(report.procedures.length, "procedure"), plural(checks, "check"), report.created.replace("T", " ").replace(/Z|\+00:00/, " UTC"),
    `${report.collection.name} ${report.collection.version}`, "nothing was changed",
  ].join(" · ");
  $("procedure").append(make("option", { value: "" }, "all"), ...report.procedures.map(({ label }) => make("option", { value: label }, label)));
  $("legend").append(...[...STATES, "none"].map((state) => make("span", null, symbol(state), make("b", null, WORDS[state][0] || "–"), WORDS[state][1])));
  $("host").addEventListener("input", (event) => { chosen.text = event.target.value.trim(); choose(); });
  $("procedure").addEventListener("change", (event) => { chosen.procedure = event.target.value; choose(); });
  $("order").addEventListener("change", (event) => { chosen.order = event.target.value; choose(); });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("reset", () => {
    Object.assign(chosen, { states: new Set(), text: "", procedure: "", order: "inventory" });
    choose();
  });
  for (const view of ["matrix", "findings"]) {
    $(`show-${view}`).addEventListener("click", () => { chosen.view = view; draw(); });
  }
  let asked = false;
  $("matrix").addEventListener("scroll", () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; drawRows(false); });
  }, { passive: true });
  $("matrix").addEventListener("keydown", move);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });
  addEventListener("resize", () => drawRows(false));
  addEventListener("hashchange", openHash);
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  draw();
  openHash();
})();
