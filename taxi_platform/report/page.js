"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const tables = {};
  for (const [name, table] of Object.entries(data.tables)) {
    tables[name] = table.rows.map((row) => Object.fromEntries(table.columns.map((c, n) => [c, row[n]])));
  }
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = { chosenColor: "all", chosenMonth: "all" };
  let views = [];

  function look() {
    const style = getComputedStyle(root);
    const ink = style.getPropertyValue("--ink").trim();
    const soft = style.getPropertyValue("--soft").trim();
    const line = style.getPropertyValue("--line").trim();
    const text = { labelColor: soft, titleColor: ink, labelFontSize: 12, titleFontSize: 12 };
    return {
      background: "transparent",
      font: "system-ui, sans-serif",
      view: { stroke: null },
      axis: { ...text, gridColor: line, domainColor: soft, tickColor: soft },
      legend: text,
    };
  }

  async function draw() {
    views.forEach((result) => result.finalize());
    const options = { actions: false, renderer: "svg", config: look(), tooltip: { disableDefaultStyle: true } };
    views = await Promise.all(data.pictures.map((picture) => {
      const spec = JSON.parse(JSON.stringify(picture.spec));
      for (const param of spec.params) param.value = chosen[param.name];
      spec.datasets = { rows: tables[picture.rows] };
      return vegaEmbed(`#drawing-${picture.key}`, spec, options);
    }));
    root.dataset.drawn = String(Number(root.dataset.drawn || 0) + 1);
  }

  async function choose(name, value) {
    chosen[name] = value;
    await Promise.all(views.map(({ view }) => view.signal(name, value).runAsync()));
    root.dataset.chosen = `${chosen.chosenColor} ${chosen.chosenMonth}`;
  }

  function setTheme(theme) {
    root.dataset.theme = theme;
    return draw();
  }

  document.getElementById("color").addEventListener("change", (e) => choose("chosenColor", e.target.value));
  document.getElementById("month").addEventListener("change", (e) => choose("chosenMonth", e.target.value));
  document.getElementById("theme").addEventListener("click",
    () => setTheme(root.dataset.theme === "dark" ? "light" : "dark"));
  dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
  window.addEventListener("load", () => setTheme(dark.matches ? "dark" : "light"));
})();
