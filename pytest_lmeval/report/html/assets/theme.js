// Before anything is drawn: the theme that was chosen last. Where storage is refused, the system's stays.
try {
  const chosen = localStorage.getItem("lmeval-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* no storage */ }
