/* theme.js - light, dark, or as the system has it; kept on this device. */

const THEMES = ["auto", "light", "dark"],
  THEME_NAME = "tercet-theme";
const THEME_TOLD = {
  auto: "Colours: as the system",
  light: "Colours: light",
  dark: "Colours: dark",
};

function themeShow(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  $("theme").title = THEME_TOLD[theme];
  $("theme").setAttribute("aria-label", THEME_TOLD[theme]);
  $("theme-icon").setAttribute("href", "#i-" + theme);
}

function themeStart() {
  let theme = THEMES.includes(stored(THEME_NAME)) ? stored(THEME_NAME) : "auto";
  themeShow(theme);
  $("theme").addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    store(THEME_NAME, theme === "auto" ? null : theme, true);
    themeShow(theme);
  });
}
