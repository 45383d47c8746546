// Light, dark, or as the system says; kept in this browser.

import { byId, setText } from "./dom.js";

const THEMES = ["system", "light", "dark"];
const KEY = "subcore-theme";

export function startTheme(changed) {
  const button = byId("theme");
  let theme = "system";
  try {
    theme = THEMES.includes(localStorage.getItem(KEY)) ? localStorage.getItem(KEY) : "system";
  } catch { /* kept nowhere, then */ }
  const apply = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    setText(button, `Theme: ${theme}`);
    changed();
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    try { localStorage.setItem(KEY, theme); } catch { /* kept nowhere, then */ }
    apply();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  apply();
}

/** What a colour of the style sheet is at the moment: a canvas knows no variables. */
export function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
